import numpy as np
import pytest

from modelyard.data.texts.token_lists import TokenLists
from modelyard.data.texts.token_pipeline import (
    evaluation_order,
    in_original_order,
    make_token_evaluation_dataset,
    make_token_training_dataset,
    token_steps_per_epoch,
)

LIMITS = {"batch_tokens": 400, "max_batch": 6}


def numbered(lengths):
    """Texts whose ids and labels identify the text: 1, 2, 3, ..."""
    labels = np.arange(1, len(lengths) + 1)
    ids = np.repeat(labels, lengths).astype(np.int32)
    return TokenLists(ids, np.cumsum([0, *lengths])), labels


def mixed(count=60, longest=300, seed=0):
    lengths = np.random.default_rng(seed).integers(1, longest, count)
    return numbered([*lengths, longest])


def batches_of(dataset):
    return list(dataset.as_numpy_iterator())


def epochs_of(batches, epochs):
    steps = len(batches) // epochs
    return [batches[i * steps : (i + 1) * steps] for i in range(epochs)]


def assert_same(first, second):
    assert len(first) == len(second)
    for (tokens, labels), (other_tokens, other_labels) in zip(
        first, second, strict=True
    ):
        np.testing.assert_array_equal(tokens, other_tokens)
        np.testing.assert_array_equal(labels, other_labels)


def assert_whole_texts(batches, tokens):
    """Checks that every row is the text of its label, padded with zeros."""
    for rows, labels in batches:
        assert rows.dtype == np.int32
        assert labels.dtype == np.int64
        for row, label in zip(rows, labels, strict=True):
            length = tokens.lengths[label - 1]
            assert (row[:length] == label).all()
            assert (row[length:] == 0).all()


def test_every_epoch_has_every_example_once_in_new_batches():
    tokens, labels = mixed()
    dataset = make_token_training_dataset(tokens, labels, seed=0, epochs=3, **LIMITS)
    batches = batches_of(dataset)
    assert len(batches) == 3 * token_steps_per_epoch(tokens, **LIMITS)
    assert_whole_texts(batches, tokens)
    epochs = epochs_of(batches, 3)
    for epoch in epochs:
        seen = np.concatenate([labels for _, labels in epoch])
        assert sorted(seen) == labels.tolist()
    partners = [{frozenset(labels) for _, labels in epoch} for epoch in epochs]
    assert partners[0] != partners[1] != partners[2]
    widths = [[rows.shape[1] for rows, _ in epoch] for epoch in epochs]
    assert widths[0] != sorted(widths[0])  # Not sorted by length.
    assert widths[0] != widths[1]


def test_batches_keep_within_the_limits():
    tokens, labels = mixed()
    dataset = make_token_training_dataset(tokens, labels, seed=0, epochs=1, **LIMITS)
    sizes = {}
    for rows, _ in batches_of(dataset):
        assert rows.size <= 400
        assert len(rows) <= 6
        sizes.setdefault(rows.shape[1], []).append(len(rows))
    # There are few lengths, and batches of one length have even sizes.
    assert set(sizes) <= {32, 64, 96, 128, 160, 192, 224, 256, 304}
    assert all(max(s) - min(s) <= 1 for s in sizes.values())


def test_text_beyond_the_limit_is_a_batch_by_itself():
    tokens, labels = numbered([3, 90, 90])
    limits = {"batch_tokens": 64, "max_batch": 6}
    dataset = make_token_training_dataset(tokens, labels, seed=0, epochs=1, **limits)
    shapes = sorted(rows.shape for rows, _ in batches_of(dataset))
    assert shapes == [(1, 32), (1, 96), (1, 96)]


def test_padding_is_at_most_a_quarter():
    for longest in (33, 100, 512, 1000):
        tokens, labels = numbered(np.arange(1, longest + 1))
        dataset = make_token_evaluation_dataset(
            tokens, labels, batch_tokens=1, max_batch=1
        )
        widths = np.array([rows.shape[1] for rows, _ in batches_of(dataset)])
        lengths = np.arange(1, longest + 1)
        assert (widths >= lengths).all()
        assert (widths <= np.maximum(lengths * 1.25, lengths + 31)).all()
        assert widths[-1] < longest + 8
        assert len(np.unique(widths)) <= 30


def test_resumed_stream_is_the_rest_of_the_whole_stream():
    tokens, labels = mixed()

    def batches(first_epoch):
        return batches_of(
            make_token_training_dataset(
                tokens, labels, seed=3, epochs=4, first_epoch=first_epoch, **LIMITS
            )
        )

    whole = batches(0)
    steps = token_steps_per_epoch(tokens, **LIMITS)
    assert_same(batches(2), whole[2 * steps :])
    assert_same(batches(0), whole)


def test_order_follows_the_seed():
    tokens, labels = mixed()
    first, other = (
        batches_of(
            make_token_training_dataset(tokens, labels, seed=s, epochs=1, **LIMITS)
        )
        for s in (0, 1)
    )
    assert [a[1].tolist() for a in first] != [b[1].tolist() for b in other]


def test_evaluation_is_complete_and_its_order_is_known():
    tokens, labels = mixed()
    batches = batches_of(make_token_evaluation_dataset(tokens, labels, **LIMITS))
    assert_whole_texts(batches, tokens)
    seen = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(seen, labels[evaluation_order(tokens)])
    np.testing.assert_array_equal(in_original_order(seen, tokens), labels)
    scores = np.stack([seen, -seen], axis=1)
    np.testing.assert_array_equal(in_original_order(scores, tokens)[:, 0], labels)
    assert (np.diff(tokens.lengths[seen - 1]) >= 0).all()


def test_batches_have_no_static_shape():
    dataset = make_token_training_dataset(*numbered([1, 2]), seed=0, epochs=1, **LIMITS)
    assert dataset.element_spec[0].shape.as_list() == [None, None]
    assert dataset.element_spec[1].shape.as_list() == [None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_tokens": 0}, r"`batch_tokens` must be at least 1.*batch_tokens=0"),
        ({"max_batch": 0}, r"`max_batch` must be at least 1.*max_batch=0"),
        ({"first_epoch": 2}, r"`first_epoch` must.*first_epoch=2, epochs=2"),
        ({"seed": -1}, r"`seed` must be.*seed=-1"),
        ({"labels": np.zeros(3, np.int64)}, r"`labels` must be int64 \(2,\).*\(3,\)"),
        ({"tokens": numbered([0, 2])[0]}, r"`tokens` must have.*2 texts, 1 of them em"),
        ({"tokens": numbered([])[0]}, r"`tokens` must have texts.*0 texts"),
    ],
)
def test_wrong_argument_is_named(change, message):
    tokens, labels = numbered([2, 3])
    arguments = {"tokens": tokens, "labels": labels, "seed": 0, "epochs": 2, **LIMITS}
    with pytest.raises(ValueError, match=message):
        make_token_training_dataset(**(arguments | change))
