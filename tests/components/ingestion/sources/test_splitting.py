"""The split of an image."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from graft.components.ingestion.sources.config import SplitPercentages
from graft.components.ingestion.sources.splitting import choose_split, splits_of_roles
from graft.contract.split_names import SPLITS

HASHES = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000)]


def _split_all(splits: tuple[str, ...] = SPLITS, **percentages: float) -> list[str]:
    shares = SplitPercentages(**percentages)
    return [choose_split(content_hash, splits, shares) for content_hash in HASHES]


def test_shares_are_as_told():
    shares = Counter(_split_all(train=70, eval=20, test=10))
    assert shares["train"] / len(HASHES) == pytest.approx(0.7, abs=0.01)
    assert shares["eval"] / len(HASHES) == pytest.approx(0.2, abs=0.01)
    assert shares["test"] / len(HASHES) == pytest.approx(0.1, abs=0.01)


def test_shares_of_fewer_splits_are_scaled():
    shares = Counter(_split_all(("train", "eval")))
    assert shares["eval"] / len(HASHES) == pytest.approx(1 / 9, abs=0.01)
    assert shares["test"] == 0


def test_a_split_of_zero_percent_gets_nothing():
    assert set(_split_all(train=90, eval=0, test=10)) == {"train", "test"}


def test_the_test_split_stays_when_other_shares_change():
    before = _split_all(train=80, eval=10, test=10)
    after = _split_all(train=60, eval=30, test=10)
    assert [s == "test" for s in before] == [s == "test" for s in after]
    assert all(b == "eval" for a, b in zip(before, after, strict=True) if a == "eval")


def test_only_a_given_split_is_chosen():
    assert set(_split_all(("eval",))) == {"eval"}


def test_validation_and_test_may_both_be_reported_on():
    assert splits_of_roles({"train", "validation", "test"}, "test") == {
        "train": ("train", "eval"),
        "validation": ("test",),
        "test": ("test",),
    }
