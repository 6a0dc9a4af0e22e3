import pytest

from modelyard.reporting.model_card import CardTable, model_card_text
from modelyard.reporting.run_page import DatasetFacts


@pytest.fixture
def write_card(make_facts):
    def write(facts=None, **fields):
        values = {
            "description": "Tells 2 classes apart: cat, dog.",
            "intended_use": "Sorting of photographs.",
            "limits": ["Not for wolves.", "Nor for foxes."],
            "metrics": [
                CardTable(("Split", "Accuracy"), [("Test", "75.00%")]),
                CardTable(("Published", "Accuracy"), [("Theirs", "90.00%")]),
            ],
            "signatures": {
                "serve_bytes": {
                    "inputs": {"image_bytes": "string (batch,)"},
                    "outputs": {"scores": "float32 (batch, 2)"},
                }
            },
            "example_request": "curl -d '{}' http://localhost:8501/v1/models/pets",
        }
        return model_card_text(facts or make_facts(), **{**values, **fields})

    return write


def _section(card, title):
    return card.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def test_card_tells_what_the_model_is_for(write_card):
    card = write_card()
    assert card.startswith("# Pictures\n")
    assert card.endswith("|\n")
    assert _section(card, "Description") == (
        "A model.\n\nTells 2 classes apart: cat, dog."
    )
    assert _section(card, "Intended use") == "Sorting of photographs."
    assert _section(card, "Limits") == "- Not for wolves.\n- Nor for foxes."


def test_card_lists_signatures_with_a_request(write_card):
    signatures = _section(write_card(), "Inputs and outputs")
    assert "| `serve_bytes` | input | `image_bytes` | string (batch,) |" in signatures
    assert "| `serve_bytes` | output | `scores` | float32 (batch, 2) |" in signatures
    assert "```\ncurl -d '{}' http" in signatures


def test_card_states_data_and_licence(write_card, make_facts):
    data = _section(write_card(make_facts(findings={"duplicates": 3})), "Data")
    assert "| Data set | Some data |" in data
    assert "| Home page | https://example.org/a |" in data
    assert "| Licence | CC0 |" in data
    assert "| Citation | Somebody, 2000 |" in data
    assert "| Examples | test 40 |" in data
    assert "| duplicates | 3 |" in data


def test_card_without_a_home_page_has_no_empty_row(write_card, make_facts):
    dataset = DatasetFacts("My pets", "unknown", "none", "", {"test": 1234})
    data = _section(write_card(make_facts(dataset=dataset)), "Data")
    assert "Home page" not in data
    assert "| Examples | test 1,234 |" in data


def test_card_states_the_cost_of_training(write_card):
    training = _section(write_card(), "Training")
    assert "| epochs | 2 |" in training
    assert "| train_seconds | 1 min 23 s |" in training
    assert "| versions.keras | 3.15 |" in training
    assert "| augment.shift | 2 |" in _section(write_card(), "Configuration")


def test_card_shows_every_table_of_metrics(write_card):
    assert _section(write_card(), "Metrics") == (
        "| Split | Accuracy |\n| --- | --- |\n| Test | 75.00% |\n\n"
        "| Published | Accuracy |\n| --- | --- |\n| Theirs | 90.00% |"
    )


@pytest.mark.parametrize("name", ["a|b", "a\nb", "<script>", "a & b"])
def test_hostile_names_do_not_break_the_layout(write_card, make_facts, name):
    facts = make_facts(
        findings={name: name}, title=name, subtitle=name, config={name: name}
    )
    card = write_card(
        facts,
        description=name,
        intended_use=name,
        limits=[name],
        metrics=[CardTable((name, name), [(name, name)])],
    )
    assert "<script>" not in card
    for title, count in (("Data", 8), ("Metrics", 3), ("Configuration", 3)):
        rows = _section(card, title).strip().splitlines()
        assert len(rows) == count
        assert all(row.replace(r"\|", "").count("|") == 3 for row in rows)
    assert len(_section(card, "Limits").splitlines()) == 1


def test_a_request_with_backticks_stays_in_its_fence(write_card):
    card = write_card(example_request="```\n# not a title")
    assert "````\n```\n# not a title\n````" in card
