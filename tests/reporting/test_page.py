import re

import numpy as np
import pytest

from modelyard.evaluation.references import Reference
from modelyard.reporting.figures import learning_curve_figure, picture_uri
from modelyard.reporting.page import Page, render_page
from modelyard.reporting.run_page import ExportFacts
from modelyard.reporting.sections import (
    Card,
    Cell,
    ColouredText,
    Matrix,
    Picture,
    Section,
)

# Attributes that name something to load.
_LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction"}


def _make_page(*sections, **fields):
    values = {
        "title": "A run",
        "subtitle": "A model",
        "headline": Card("Score", "12.3", "of 20"),
        "cards": [],
        "sections": sections,
    }
    return Page(**{**values, **fields})


def _picture():
    return picture_uri(np.zeros((8, 8, 1), np.uint8))


@pytest.fixture(scope="module")
def full_page(render, make_facts, make_results, make_classifier_page, tmp_path_factory):
    reference = Reference("Theirs", 0.5, "A paper", "https://example.org", None)
    export = ExportFacts(tmp_path_factory.mktemp("pictures") / "1", "modelyard predict")
    facts = make_facts(findings={"duplicates": {"in test and train": 7}})
    results = make_results(references=(reference,))
    return render(make_classifier_page(facts, results, export=export))


def test_page_loads_nothing(full_page):
    text, page = full_page
    assert not page.all("script")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in _LOADING:
                assert value.startswith("data:image/png;base64,")
            elif name.endswith("href") and tag != "a":
                assert value.startswith(("#", "data:,"))
    assert "@import" not in text
    for address in re.findall(r"url\(([^)]*)\)", text):
        assert address.startswith("#")
    policy = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_what_the_figures_refer_to_is_in_the_page_once(full_page):
    text, page = full_page
    ids = [a["id"] for _, a in page.elements if "id" in a]
    used = {a["xlink:href"][1:] for a in page.all("use")}
    clips = set(re.findall(r"url\(#([^)]*)\)", text))
    assert used
    assert clips
    assert used | clips <= set(ids)
    assert len(ids) == len(set(ids))
    assert len(page.all("svg")) == 4


def test_hostile_text_stays_text_everywhere(render):
    evil = "<script>alert(1)</script>"
    quote = "\"'><img src=http://example.org/x onload=alert(1)>"
    for words in (evil, quote, "$\\frac{$", "{{ page.title }}", "a & b"):
        cell = Cell(words, url='https://e.org/"onload="x', note=words)
        everything = Section(
            title=words,
            note=words,
            matrix=Matrix([words], [[(1, "red")]]),
            header=[words, words],
            rows=[[words, cell]],
            fold=words,
            facts={words: cell},
            figures={words: learning_curve_figure({"line": [(10, 0.5)]})},
            pictures=[Picture({words: _picture()}, caption=words, note=words)],
            texts=[ColouredText([(words, 0.5)], caption=words, note=words)],
            commands={words: words},
            remark=words,
            aside=Section(title=words, note=words),
        )
        card = Card(words, words, words)
        _, page = render(
            _make_page(
                everything,
                title=words,
                subtitle=words,
                headline=card,
                cards=[card],
            )
        )
        assert not page.all("script")
        assert all(a["src"].startswith("data:") for a in page.all("img"))
        assert not any("onload" in a for _, a in page.elements)
        assert [a["alt"] for a in page.all("img")] == [words]
        assert page.text.count(words) == 34
        assert len(page.all("a")) == 2


def test_section_shows_its_parts_in_order(render):
    _, page = render(
        _make_page(
            Section(
                title="Phases",
                note="A note.",
                header=("Phase", "Test"),
                rows=[("first", "80%"), ("second", Cell("90%", note="(kept)"))],
                facts={"batch_size": "3", "a.b": Cell("x", url="https://example.org")},
                commands={"Run": "modelyard run"},
                remark="A remark.",
            )
        )
    )
    assert page.text.endswith(
        "Phases A note. Phase Test first 80% second 90% (kept) batch_size 3 a.b x "
        "Run modelyard run A remark."
    )
    assert [a["href"] for a in page.all("a")] == ["https://example.org"]


def test_empty_parts_of_a_section_are_left_out(render):
    _, empty = render(_make_page(Section(title="Nothing")))
    assert empty.text == "A run: 12.3 A run A model Score 12.3 of 20 Nothing"
    for tag in ("table", "svg", "img", "pre", "details", "figure", "h3"):
        assert not empty.all(tag)


def test_columns_of_numbers_are_told_from_columns_of_words(render):
    rows = [
        ("1", "2.5", "\N{MINUS SIGN}3%", "cat", "none"),
        ("2", "nan", "+4%", "2 dogs", "16 s"),
        ("3", "1.5", "", "bird", ""),
    ]
    _, page = render(_make_page(Section(title="A", header="abcde", rows=rows)))
    styles = [a["class"] for a in page.all("th") if "class" in a]
    assert styles == ["name", "number", "number", "text", "number"]
    assert [a["class"] for a in page.all("td")] == 3 * styles[1:]


def test_verdicts_are_coloured(render):
    row = ("This run", Cell("better", style="higher"), Cell("worse", style="lower"))
    _, page = render(_make_page(Section(title="A", header="abc", rows=[row])))
    assert [a["class"] for a in page.all("td")] == ["text higher", "text lower"]


def test_table_in_a_fold_is_hidden_until_opened(render):
    section = Section(title="A", header=("b",), rows=[("c",)], fold="Every epoch")
    _, page = render(_make_page(section))
    assert page.all("details") == [{}]
    assert "Every epoch b c" in page.text


def test_narrow_sections_stand_beside_each_other(render):
    def count(*narrow):
        sections = [Section(title="A", is_narrow=is_narrow) for is_narrow in narrow]
        _, page = render(_make_page(*sections))
        assert len(page.all("section")) == len(narrow)
        return [a.get("class") for a in page.all("div")].count("beside")

    assert count(False, True, True, False, True, True, True) == 2
    assert count(True, False, True) == 0
    assert count() == 0


def test_pictures_stand_side_by_side_over_one_caption(render):
    pictures = [
        Picture(
            {"test image": _picture(), "heat map": _picture()},
            caption="cat → dog",
            note="75.0%",
            is_wrong=True,
            is_small=True,
        ),
        Picture({"test image": _picture()}, caption="bird"),
    ]
    _, page = render(_make_page(Section(title="Why", pictures=pictures)))
    assert "Why cat → dog 75.0% bird" in page.text
    alts = [a["alt"] for a in page.all("img")]
    assert alts == ["test image", "heat map", "test image"]
    assert [a.get("class") for a in page.all("img")] == ["small", "small", None]
    assert [a.get("class") for a in page.all("figure")] == ["wrong", None]


def test_words_are_coloured_by_their_influence(render):
    words = [("good", 1.0), ("old", -0.25), ("film", 0.0)]
    shown = ColouredText(words, caption="neg → pos", note="75.0%")
    text, page = render(_make_page(Section(title="Mistakes", texts=[shown])))
    assert "Mistakes neg → pos 75.0% good old film" in page.text
    spans = [a for a in page.all("span") if "style" in a]
    assert [(a["class"], a["style"]) for a in spans] == [
        ("for", "--share: 1.00"),
        ("against", "--share: 0.25"),
        ("for", "--share: 0.00"),
    ]
    assert ".words .against" in text


def test_matrix_has_a_row_and_a_column_for_every_name(render):
    matrix = Matrix(["cat", "dog"], [[(3, "red"), (1, "blue")], [(0, "red"), (4, "")]])
    _, page = render(_make_page(Section(title="Counts", matrix=matrix)))
    assert "Counts cat dog cat 3 1 dog 0 4" in page.text
    cells = [(a.get("style"), a.get("class")) for a in page.all("td")]
    assert cells[:3] == [
        ("background: red", None),
        ("background: blue", None),
        (None, "zero"),
    ]


def test_aside_has_a_heading_of_its_own(render):
    aside = Section(title="Aside", note="Beside it.")
    _, page = render(_make_page(Section(title="Main", note="Here.", aside=aside)))
    assert page.text.endswith("Main Here. Aside Beside it.")
    assert len(page.all("section")) == 1


def test_the_same_page_gives_the_same_text(
    make_facts, make_results, make_classifier_page
):
    texts = [
        render_page(make_classifier_page(make_facts(), make_results()))
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
