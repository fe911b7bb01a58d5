"""The table of timings. They are filled in after the page has been written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from graft.components.report.charts import share_bar

_TIMINGS = re.compile("<!-- timings -->.*<!-- end of timings -->", re.DOTALL)

_UNKNOWN = "<p>Not known to the node that wrote this page.</p>"


def timings_table(timings: Mapping[str, float]) -> str:
    """Return a table of seconds per node, between marks so that it can be replaced."""
    if timings:
        longest = max(*timings.values(), 1e-9)
        rows = "".join(
            f"<tr><th scope='row'>{escape(node)}</th><td class='number'>{seconds:.1f}"
            f"</td><td class='wide'>{share_bar(seconds / longest)}</td></tr>"
            for node, seconds in timings.items()
        )
        body = (
            "<table><thead><tr><th>Node</th><th class='number'>Seconds</th><th></th>"
            f"</tr></thead><tbody>{rows}</tbody></table>"
        )
    else:
        body = _UNKNOWN
    return f"<!-- timings -->{body}<!-- end of timings -->"


def fill_in_timings(path: str, timings: Mapping[str, float]) -> None:
    """Write a run's timings into its page, unless the page has some.

    A page from the cache keeps the timings of the run that made it.

    Args:
        path: Path of the page.
        timings: Seconds per node.
    """
    with open(path, encoding="utf-8") as file:
        page = file.read()
    if _UNKNOWN in page and timings:
        with open(path, "w", encoding="utf-8") as file:
            file.write(with_timings(page, timings))


def with_timings(page: str, timings: Mapping[str, float]) -> str:
    """Return a page with its table of timings replaced."""
    table = timings_table(timings)
    return _TIMINGS.sub(lambda _: table, page)
