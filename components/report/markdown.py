"""Put texts of others, such as class names, into Markdown as they are.

A class name may look like Markdown or HTML: a link, an image with a script, the end of
a table cell. See CommonMark 0.31, sections 2.4 and 6.1, and GitHub's tables.
"""

from __future__ import annotations

import re

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[\\`*_\[\]|~#!$^]")
# A marker of a list, a heading or a line: it counts at the start of a line only. A
# decimal number such as 0.5 is no marker.
_AT_START = re.compile(r"\A([-+=]|\d+(?=[.)](\s|\Z)))")
# A bare address, which GitHub turns into a link.
_ADDRESS = re.compile(r"(?i)(:)(?=//)|(?<=www)(\.)|(@)")
# Also separators of lines and paragraphs, which some programs take for line breaks.
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Markdown(str):
    """A text that is Markdown already."""


def escape_text(value: object) -> object:
    """Return a value for a place outside of code spans, if it is a text.

    Args:
        value: Anything. `Markdown`, and what is no text, is returned unchanged.
    """
    if not isinstance(value, str) or isinstance(value, Markdown):
        return value
    text = _BREAKS.sub(" ", value)
    text = _SPECIAL.sub(r"\\\g<0>", text)
    text = "".join(_HTML.get(letter, letter) for letter in text)
    text = _ADDRESS.sub(lambda match: f"&#{ord(match[0])};", text)
    return _AT_START.sub(_escape_marker, text)


def _escape_marker(match: re.Match[str]) -> str:
    # A number is a marker because of what follows it.
    return match[0] + "\\" if match[0].isdigit() else "\\" + match[0]


def code(value: object) -> Markdown:
    """Return a value as a code span, which shows it unchanged."""
    text = _BREAKS.sub(" ", str(value)) or " "
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    # One space at each end is not shown.
    if text[0] in "` " or text[-1] in "` ":
        text = f" {text} "
    return Markdown(f"{fence}{text}{fence}")
