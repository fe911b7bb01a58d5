"""Find texts in the sources that an automatic rewrap has torn.

A line is torn if it ends within a sentence, although the first word of the next line
would fit. The check covers docstrings, and messages of literals on several lines.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINE_LENGTH = 88
FEWEST_FREE_COLUMNS = 16
SHORT_FRAGMENT = 12
"""Characters of a literal that has been cut off from its sentence."""

ENDS_A_SENTENCE = re.compile(r"[.:;?!][\"'`)\]]*$")
STARTS_AN_ITEM = re.compile(r"\s*([-*•] |\d+\. |\*{0,2}[\w.]+( \([^)]*\))?: )")
IS_DRAWING = re.compile(r"\S {2,}\S|[─│└├]")
GOES_ON = re.compile(r"[a-z`(\[]")
LITERAL = re.compile(r'[rf]*"((?:[^"\\]|\\.)*)"')


def docstring_lines(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield number, line and next line within each docstring."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node.value.value, str):
            assert node.end_lineno is not None
            for number in range(node.lineno, node.end_lineno):
                yield number, lines[number - 1], lines[number]


def torn_docstrings(source: str) -> list[int]:
    """Return the numbers of lines that end too early."""
    found = []
    for number, line, following in docstring_lines(source):
        words = following.removesuffix('"""').split()
        if not line.strip() or not words:
            continue
        room = LINE_LENGTH - len(line) - 1 - len(words[0])
        if (
            room >= FEWEST_FREE_COLUMNS
            and re.search(r"[\w,`'\")\]]$", line)
            and GOES_ON.match(words[0])
            and not ENDS_A_SENTENCE.search(line)
            and not STARTS_AN_ITEM.match(following)
            and not IS_DRAWING.search(line.strip() + "\n" + following.strip())
            and " = " not in line
        ):
            found.append(number)
    return found


def torn_messages(source: str) -> list[int]:
    """Return the numbers of lines that hold a fragment cut off from its sentence."""
    lines = source.splitlines()
    found = []
    for number, (before, line, following) in enumerate(
        zip(lines, lines[1:], lines[2:], strict=False), start=2
    ):
        literals = [LITERAL.match(text.strip()) for text in (before, line, following)]
        if not all(literals) or not LITERAL.fullmatch(line.strip()):
            continue
        text = literals[1][1]  # type: ignore[index]
        is_cut_off = len(text) <= SHORT_FRAGMENT and text.endswith(" ")
        if is_cut_off and not ENDS_A_SENTENCE.search(text.strip()):
            found.append(number)
    return found


def sources() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split() if not name.endswith("_pb2.py")]


def test_no_docstring_or_message_is_torn():
    torn = []
    for name in sources():
        path = ROOT / name
        if not path.exists():
            continue
        source = path.read_text(encoding="utf-8")
        for number in (*torn_docstrings(source), *torn_messages(source)):
            torn.append(f"{name}:{number}")
    assert not torn, "join these lines with the next ones: " + ", ".join(torn)


@pytest.mark.parametrize(
    "text",
    [
        "raw `Examples`; `training`, what the\n    trainer\n        would read",
        "`model_card`, a `ModelCard`: the URI\n    of\n        each is the file itself",
        "a time that passed while it was\npaused\nor the cluster down is lost",
        "config, a `CanaryConfig` as JSON; `code_fingerprint`,\n    read by TFX alone",
    ],
    ids=["argument", "one word", "module", "comma"],
)
def test_a_torn_docstring_is_found(text):
    assert torn_docstrings(f'"""Do it.\n\n{text}.\n"""\n')


@pytest.mark.parametrize(
    "text",
    [
        "Args:\n    path: A folder.\n    name: Its name.",
        "    config.py      the config of a run\n    local          runs here",
        "    counts = tasks | Count()\n    bad = counts.bad",
        "Short.\nAnother sentence that stands on a line of its own",
        "- one thing\n- another thing",
    ],
    ids=["arguments", "drawing", "code", "sentences", "list"],
)
def test_a_sound_docstring_is_left_alone(text):
    assert not torn_docstrings(f'"""Do it.\n\n{text}\n"""\n')


def test_a_torn_message_is_found():
    source = 'x = (\n    "a recurring run knows "\n    f"no "\n    f"time zones"\n)\n'
    assert torn_messages(source) == [3]
    assert not torn_messages(source.replace("no ", "no. "))
