"""The timings of a run, which are known only when the page has been written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from components.report.charts import share_bar

_TIMINGS = re.compile("<!-- timings -->.*<!-- end of timings -->", re.DOTALL)


def timings_table(timings: Mapping[str, float]) -> str:
    """Return a table of seconds per node, between marks by which it can be replaced."""
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
        body = "<p>Not known to the node that wrote this page.</p>"
    return f"<!-- timings -->{body}<!-- end of timings -->"


def with_timings(page: str, timings: Mapping[str, float]) -> str:
    """Return a page with other timings: those of a run are known when it has ended."""
    table = timings_table(timings)
    return _TIMINGS.sub(lambda _: table, page)
