from __future__ import annotations

import pytest

from graft.pipeline.kubeflow.cluster.cron import (
    CronError,
    five_fields,
    in_utc,
    six_fields,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("30 */5 1-5 * * mon-fri", "30 */5 1-5 * * mon-fri"),
        ("0 0 1 jan,jul *", "0 0 0 1 jan,jul *"),
        ("@daily", "0 0 0 * * *"),
    ],
)
def test_six_fields(text, expected):
    assert six_fields(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("every day", "five fields"),
        ("60 3 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 3 0 * *", "day of month"),
        ("0 3 * 13 *", "month"),
        ("0 3 * * noday", "day of week"),
        ("0 3 * * 5-1", "day of week"),
        ("*/0 3 * * *", "minute"),
        ("", "five fields"),
    ],
)
def test_nonsense_is_refused(text, message):
    with pytest.raises(CronError, match=message):
        six_fields(text)


def test_five_fields():
    assert five_fields("0 0 3 * * *") == "0 3 * * *"
    assert five_fields("0 3 * * *") == "0 3 * * *"
    with pytest.raises(CronError, match="second"):
        five_fields("30 0 3 * * *")


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("0 0 3 * * *", "UTC", "0 0 3 * * *"),
        ("0 0 3,23 * * *", "Asia/Tokyo", "0 0 14,18 * * *"),
        ("0 0 12 * * 1", "Asia/Tokyo", "0 0 3 * * 1"),
    ],
)
def test_hours_in_utc(expression, zone, expected):
    assert in_utc(expression, zone) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "message"),
    [
        ("0 0 3 * * *", "Europe/Berlin", "Europe/Berlin has daylight saving time"),
        ("0 0 3 * * 1", "Asia/Tokyo", "day of"),
        ("0 0 */2 * * *", "Asia/Tokyo", "can't be given in UTC"),
        ("0 0 3 * * *", "Asia/Kolkata", "can't be given in UTC"),
        ("0 0 3 * * *", "Mars/Olympus", "--timezone"),
    ],
)
def test_hours_that_utc_does_not_have(expression, zone, message):
    with pytest.raises(CronError, match=message):
        in_utc(expression, zone)


@pytest.mark.parametrize("weekday", ["7", "5-7", "0,7"])
def test_weekday_7_is_refused_as_both_schedulers_refuse_it(weekday):
    with pytest.raises(CronError, match="from 0 to 6"):
        five_fields(f"0 3 * * {weekday}")
