import pytest

from modelyard.data.names import require_known, suggest

KNOWN = ("mnist", "emnist/letters", "kmnist", "digits")


def test_nearest_name_is_suggested():
    assert suggest("digit", KNOWN) == " Did you mean digits?"


def test_several_near_names_are_suggested_best_first():
    assert suggest("emnist", KNOWN, most=2) == " Did you mean mnist or kmnist?"


def test_nothing_is_suggested_when_no_name_is_near():
    assert suggest("xyz", KNOWN) == ""
    assert suggest("digits", ()) == ""


def test_known_name_passes():
    require_known("dataset", "mnist", KNOWN)


def test_unknown_name_is_refused_with_the_known_names_and_a_suggestion():
    with pytest.raises(ValueError, match="must be one of") as caught:
        require_known("model", "lenett", iter(["lenet", "convnet"]))
    assert str(caught.value) == (
        "`model` must be one of lenet, convnet. Received: model='lenett'. "
        "Did you mean lenet?"
    )


def test_error_without_a_near_name_has_no_suggestion():
    with pytest.raises(ValueError, match=r"Received: model='xyz'\.$"):
        require_known("model", "xyz", ["lenet"])
