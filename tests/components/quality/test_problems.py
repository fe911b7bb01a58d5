"""The problems of the data are counted in one line."""

from __future__ import annotations

from graft.components.quality.checks import TITLES
from graft.components.quality.problems import _WORDS, describe_problems


def test_every_check_is_counted() -> None:
    assert _WORDS.keys() == TITLES.keys()
    checks = [{"name": name, "num_findings": 1} for name in TITLES]
    line = describe_problems({"num_quarantined": 1}, {"checks": checks})
    assert line.count(", ") == len(TITLES)


def test_counts_worst_first() -> None:
    checks = [
        {"name": "leaks", "num_findings": 2},
        {"name": "blank", "num_findings": 0},
        {"name": "label_errors", "num_findings": 16},
    ]
    assert describe_problems({"num_quarantined": 1}, {"checks": checks}) == (
        "1 quarantined, 16 doubtful labels, 2 near-copies in different splits"
    )


def test_good_data_have_no_problems() -> None:
    assert describe_problems({}, None) == ""
    assert describe_problems({"num_quarantined": 0}, {"checks": []}) == ""
