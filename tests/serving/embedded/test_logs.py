"""The log: no control characters, one line a message, a limited rate."""

from __future__ import annotations

import io
import logging
import sys

import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded import logs


@pytest.fixture
def log():
    """A logger, and a function that returns what it has written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.LineFormatter("%(levelname)s %(message)s"))
    handler.addFilter(logs.RateFilter())
    logger = logging.getLogger("test of the server's log")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, stream.getvalue
    logger.removeHandler(handler)


def test_control_characters_are_escaped(log):
    logger, written = log
    name = "a\nERROR forged\r\x1b[2J\x9b1m\u2028\u202e\udc80\x7f\tü"
    logger.error("No model %s", name)
    assert written() == (
        "ERROR No model a\\nERROR forged\\r\\x1b[2J\\x9b1m\\u2028\\u202e\\udc80\\x7f"
        "\\tü\n"
    )


def test_a_trace_is_indented(log):
    logger, written = log
    try:
        raise ValueError("x\nERROR forged \x1b[1m")
    except ValueError:
        logger.exception("failed")
    first, *others = written().rstrip("\n").split("\n")
    assert first == "ERROR failed"
    assert len(others) > 2
    assert all(line.startswith("    ") for line in others)
    assert "\x1b" not in written()


def test_the_rate_is_limited_for_each_place(log, monkeypatch):
    logger, written = log
    now = 100.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    for number in range(1000):
        logger.warning("again %d", number)
    logger.warning("another place")
    assert len(written().splitlines()) == logs.BURST + 1
    for _ in range(2):
        now += logs.PERIOD_SECONDS
        for number in range(2):
            logger.warning("later %d", number)
    assert written().count("later") == 4
    assert "more were not logged" not in written()


def test_what_was_left_out_is_told(log, monkeypatch):
    logger, written = log
    now = 100.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    for number in range(logs.BURST + 6):
        if number == logs.BURST + 5:
            now += logs.PERIOD_SECONDS
        logger.warning("number %d", number)
    last = f"number {logs.BURST + 5} (5 more were not logged)\n"
    assert written().endswith(last)


def test_configure_writes_to_standard_error(monkeypatch, capsys):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    logs.configure("INFO")
    logging.getLogger("a").info("b\nc")
    assert stream.getvalue().endswith("INFO a: b\\nc\n")
