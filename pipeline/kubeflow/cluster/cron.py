"""Convert cron expressions: Kubernetes takes five fields, Kubeflow six.

croniter 7.0 was tried for the check. It passes what neither of them takes (`L`, `1#2`,
`R`, `1-0`), and reads the seconds as the last field. cronsim 2.8 takes `L`, and refuses
`?`, which both take.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo

from graft.contract.errors import UserError

_NAMES = {
    "month": "jan feb mar apr may jun jul aug sep oct nov dec".split(),
    "day of week": "sun mon tue wed thu fri sat".split(),
}
_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
_SHORTHANDS = {
    "@hourly": "0 0 * * * *",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@weekly": "0 0 0 * * 0",
    "@monthly": "0 0 0 1 * *",
}


class CronError(UserError):
    """A cron expression or its time zone is invalid."""


def six_fields(text: str) -> str:
    """Return a cron expression with six fields, seconds first, for Kubeflow.

    Args:
        text: Five or six fields, or a shorthand such as @daily.

    Raises:
        CronError: The expression is invalid; the message names the field.
    """
    text = _SHORTHANDS.get(text.strip().lower(), text)
    parts = text.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise CronError(
            "`--cron` takes five fields (minute hour day month weekday), or six with "
            f"the seconds first. Received: {text!r}"
        )
    for part, (name, low, high) in zip(parts, _FIELDS, strict=True):
        _check(part, name, low, high, text)
    return " ".join(parts)


def five_fields(text: str) -> str:
    """Return a cron expression with five fields, for Kubernetes.

    Raises:
        CronError: The expression is invalid, or its seconds are not 0.
    """
    seconds, *rest = six_fields(text).split()
    if seconds != "0":
        raise CronError(
            f"A CronJob can't start at a second of the minute. Received: {text!r}"
        )
    return " ".join(rest)


def in_utc(expression: str, timezone: str) -> str:
    """Return a cron expression of six fields in UTC, for Kubeflow, which has no zones.

    Args:
        expression: Six fields, in `timezone`.
        timezone: Name of a time zone, such as Asia/Tokyo.

    Raises:
        CronError: The zone is unknown, it has daylight saving time, or the day would
            differ in UTC.
    """
    zone = check_timezone(timezone)
    offsets = {
        datetime.datetime(2027, month, 1, tzinfo=zone).utcoffset()
        for month in range(1, 13)
    }
    remedy = "Use --engine cronjob, which supports time zones, or give hours in UTC."
    if len(offsets) != 1:
        raise CronError(
            f"{timezone} has daylight saving time, and Kubeflow's recurring runs have "
            f"no time zones. {remedy}"
        )
    offset = offsets.pop()
    seconds = int(offset.total_seconds()) if offset else 0
    if seconds == 0:
        return expression
    second, minute, hour, *days = expression.split()
    if seconds % 3600 or not re.fullmatch(r"\d+(,\d+)*", hour):
        raise CronError(
            f"The hours of {expression!r} in {timezone} can't be given in UTC. {remedy}"
        )
    hours = [int(part) - seconds // 3600 for part in hour.split(",")]
    if days != ["*", "*", "*"] and not all(0 <= value < 24 for value in hours):
        raise CronError(
            f"The day of {expression!r} in {timezone} is another one in UTC. {remedy}"
        )
    shifted = ",".join(str(value) for value in sorted(value % 24 for value in hours))
    return " ".join([second, minute, shifted, *days])


def check_timezone(name: str) -> zoneinfo.ZoneInfo:
    """Return the time zone of a name.

    Raises:
        CronError: There is no such time zone.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise CronError(
            f"`--timezone` takes a name such as Europe/Berlin or UTC. Received: "
            f"{name!r}"
        ) from None


def _check(part: str, name: str, low: int, high: int, text: str) -> None:
    for item in part.split(","):
        match = re.fullmatch(r"(\*|\?|[^-/]+(-[^-/]+)?)(/(\d+))?", item)
        values = []
        if match is not None and match[1] not in ("*", "?"):
            values = [_number(word, name) for word in match[1].split("-")]
        if (
            match is None
            or any(value is None or not low <= value <= high for value in values)
            or (match[4] is not None and int(match[4]) == 0)
            or (len(values) == 2 and (values[0] or 0) > (values[1] or 0))
        ):
            raise CronError(
                f"The {name} of a cron expression is *, or numbers from {low} to "
                f"{high} with , - and /. Received: {part!r} in {text!r}"
            )


def _number(word: str, name: str) -> int | None:
    if word.isdecimal():
        return int(word)
    names = _NAMES.get(name, [])
    if word.lower() in names:
        return names.index(word.lower()) + (1 if name == "month" else 0)
    return None
