"""A class name has the same label in every lookup."""

from __future__ import annotations

import pickle

import pytest

from graft.contract.label_map import NO_LABEL, LabelMap


def test_the_order_is_that_of_the_names_whatever_the_examples() -> None:
    names = ["dog", "ant", "élan", "Zebra", "dog", "ant", "dog"]
    labels = LabelMap.of(names)
    assert labels.class_names == ("Zebra", "ant", "dog", "élan")
    assert LabelMap.of(name.encode() for name in reversed(names)) == labels
    # UTF-8 bytes have the same order.
    assert list(labels) == [
        name.decode() for name in sorted({name.encode() for name in names})
    ]


def test_names_and_labels_go_both_ways() -> None:
    labels = LabelMap(("cat", "dog"))
    assert len(labels) == 2
    assert labels.labels_of(["dog", b"cat", "cow"]) == [1, 0, NO_LABEL]
    assert pickle.loads(pickle.dumps(labels)).label_of("dog") == 1


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("cat",),
        ("a b", "c,d"),
        ("one\xa0two", "one\u200dtwo"),
    ],
    ids=["none", "one", "spaces", "separators"],
)
def test_a_file_gives_back_the_names(names: tuple[str, ...]) -> None:
    labels = LabelMap(names)
    assert LabelMap.from_text(labels.to_text()) == labels
    # As a vocabulary is written that ends without a line feed.
    assert LabelMap.from_text(labels.to_text().removesuffix("\n")) == labels


@pytest.mark.parametrize("names", [("cat", "cat"), ("cat\ndog",), ("cat ",), ("cr\r",)])
def test_what_is_no_label_map_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="must be unique, and each must be one line"):
        LabelMap(names)
