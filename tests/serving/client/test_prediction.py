"""A prediction's class name and its best classes."""

from __future__ import annotations

import pytest

from graft_client import Prediction


def prediction(class_name: str, class_names: tuple[str, ...]) -> Prediction:
    return Prediction(
        class_name=class_name,
        score=0.4,
        model_version=1,
        probabilities=(0.3, 0.4, 0.3),
        class_names=class_names,
    )


@pytest.mark.parametrize(
    ("class_name", "class_names", "is_unknown"),
    [
        ("ant", ("ape", "ant", "bee"), False),
        ("unknown", ("ape", "ant", "bee"), True),
        ("unknown", (), True),
        ("unknown", ("ape", "unknown", "bee"), False),
    ],
    ids=["a class", "not sure", "a model without names", "a class of that name"],
)
def test_unknown_is_an_answer_unless_it_is_a_class(class_name, class_names, is_unknown):
    assert prediction(class_name, class_names).is_unknown is is_unknown


def test_the_best_come_first():
    names = ("ape", "ant", "bee")
    assert prediction("ant", names).top(2) == [("ant", 0.4), ("ape", 0.3)]
    assert prediction("unknown", names).top(1) == [("ant", 0.4)]
    with pytest.raises(ValueError, match="Received: count=0"):
        prediction("ant", names).top(0)
