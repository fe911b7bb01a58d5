"""A label that waits for its version is no error at first."""

from __future__ import annotations

import logging

from graft.serving.embedded.contract.status import failed_precondition, invalid
from graft.serving.embedded.loading.config_problems import (
    WAITING_SECONDS,
    ConfigProblems,
)


def _levels(caplog, reports):
    """Return the level of each record that the reports, by their time, make."""
    caplog.set_level(logging.INFO)
    times = iter([seconds for seconds, _ in reports])
    problems = ConfigProblems(lambda: next(times))
    for _, error in reports:
        problems.report(error)
    return [record.levelname for record in caplog.records]


def test_a_label_that_waits_a_second_is_no_error(caplog):
    waits = failed_precondition("not currently available")
    assert _levels(caplog, [(0, waits), (1, waits), (2, None)]) == ["INFO"]


def test_a_label_that_waits_for_long_is_an_error_once(caplog):
    waits = failed_precondition("not currently available")
    reports = [(0, waits), (1, waits), (WAITING_SECONDS, waits), (90, waits)]
    assert _levels(caplog, reports) == ["INFO", "ERROR"]


def test_any_other_problem_is_an_error_at_once(caplog):
    wrong = invalid("no config")
    reports = [(0, wrong), (1, wrong), (2, None), (3, wrong)]
    assert _levels(caplog, reports) == ["ERROR", "ERROR"]
