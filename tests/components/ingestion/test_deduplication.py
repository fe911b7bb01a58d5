"""Exact copies."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.deduplication import (
    Candidate,
    Judgement,
    add_findings,
    findings_of,
    judge_copies,
    require_allowed,
)
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError

FREE = ("train", "eval", "test")


def _copy(position: int, name: str, splits: tuple[str, ...] = FREE) -> Candidate:
    return Candidate(0, position, name, name.split("/", maxsplit=1)[0], splits)


def _judge(copies: list[Candidate], **fields: str) -> Judgement:
    return judge_copies("h", copies, DataConfig(path="x", **fields))


def _kept(judgement: Judgement) -> dict[int, tuple[str, ...]]:
    return {each.position: each.splits for each in judgement.decisions if each.splits}


def test_the_first_name_is_kept_whatever_the_order():
    copies = [_copy(0, "a/2"), _copy(1, "a/1"), _copy(2, "a/3")]
    for order in (copies, copies[::-1]):
        found = _judge(order)
        assert _kept(found) == {1: FREE}
        group = found.group
        assert (group.kind, group.kept, group.dropped) == (
            "duplicate",
            ["a/1"],
            ["a/2", "a/3"],
        )
        assert found.dropped == [("a/2", "a"), ("a/3", "a")]


def test_of_one_name_the_first_in_the_lists_is_kept():
    copies = [_copy(7, "a/1"), _copy(3, "a/1")]
    assert _kept(_judge(copies)) == {3: FREE}


@pytest.mark.parametrize(
    ("splits", "kept"),
    [
        ([("train",), ("test",)], 1),
        ([("test",), ("eval",)], 0),
        ([("train",), ("eval",), ("train",)], 1),
        ([("train", "eval"), ("test",)], 1),
    ],
)
def test_the_copy_held_out_furthest_is_kept(splits: list[tuple[str, ...]], kept: int):
    found = _judge([_copy(n, f"a/{n}", s) for n, s in enumerate(splits)])
    assert _kept(found) == {kept: splits[kept]}
    assert found.group.kind == "leak"


def test_kept_copies_of_two_labels_share_the_split_held_out_furthest():
    copies = [_copy(0, "a/1", ("train",)), _copy(1, "b/1", ("test",))]
    found = _judge(copies, duplicate_label_policy="keep")
    assert _kept(found) == {0: ("test",), 1: ("test",)}
    assert all(each.is_shared for each in found.decisions)
    assert (found.group.kind, found.group.labels) == ("label_conflict", ["a", "b"])


def test_images_that_lose_a_free_choice_of_their_split_are_counted():
    """The rule for rare classes needs their number."""
    copies = [_copy(0, "a/1"), _copy(1, "b/1", ("test",)), _copy(2, "a/2")]
    kept = _judge(copies, duplicate_label_policy="keep")
    assert (+kept.less_free, +kept.dropped_by_class) == ({"a": 2}, {"a": 1})
    none = _judge(copies, duplicate_label_policy="drop")
    assert (+none.less_free, +none.dropped_by_class) == ({"a": 2}, {"a": 2, "b": 1})


def _conflicts(number: int, config: DataConfig) -> list[Judgement]:
    return [
        judge_copies(f"{i:02d}", [_copy(0, f"b/{i}"), _copy(1, f"a/{i}")], config)
        for i in range(number)
    ]


def test_conflicts_are_named():
    config = DataConfig(path="x")
    with pytest.raises(DataError) as caught:
        require_allowed(findings_of(_conflicts(7, config), config))
    message = str(caught.value)
    assert "7 images under more than one label: 'a/0' = 'b/0' " in message
    assert (
        "; 2 more. Delete the wrong copies, or set `duplicate_label_policy`" in message
    )


@given(seed=st.integers(0, 2**32), parts=st.integers(1, 6))
def test_findings_do_not_depend_on_the_bundles(seed: int, parts: int):
    config = DataConfig(path="x", leak_policy="fail")
    judged = _conflicts(9, config) + [
        judge_copies(
            f"leak {i}",
            [_copy(0, f"a/{i}", ("test",)), _copy(1, f"a/x{i}", ("train",))],
            config,
        )
        for i in range(8)
    ]
    whole = findings_of(judged, config)
    assert whole.refused == {"label_conflict": 9, "leak": 8}
    random.Random(seed).shuffle(judged)
    several = [findings_of(judged[part::parts], config) for part in range(parts)]
    assert add_findings(several) == whole
