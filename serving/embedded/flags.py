"""The syntax of command-line flags, as TensorFlow's own parser has it.

A value follows an equals sign: `--port=8500`. In `--port 8500` both words are unknown
arguments, which TensorFlow Serving reports and ignores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_INTEGER = re.compile(r"\s*[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that a server knows.

    Args:
        read: Turns its text into its value.
        default: Its value if it is not given.
    """

    read: Callable[[str], Any]
    default: Any


class UsageError(Exception):
    """A flag has a value that can't be read, or help is wanted.

    Args:
        message: Which flag; empty for help.
    """


def parse(
    arguments: Sequence[str], flags: Mapping[str, Flag]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of all flags by name, and the unknown arguments.

    Raises:
        UsageError: If a value can't be read, or for `--help`.
    """
    values = {name: flag.default for name, flag in flags.items()}
    rest = list(arguments)
    unknown: list[str] = []
    problems: list[str] = []
    while rest:
        if rest[0] == "--":
            unknown += rest
            break
        argument = rest.pop(0)
        name, text = _split(argument, flags)
        if name is None:
            unknown.append(argument)
            continue
        try:
            values[name] = flags[name].read(text)
        except ValueError:
            problems.append(f"Couldn't interpret value {text} for flag {name}.")
    if problems or unknown[:1] == ["--help"]:
        raise UsageError("\n".join(problems))
    return values, unknown


def _split(argument: str, flags: Mapping[str, Flag]) -> tuple[str | None, str]:
    """Return the name of a known flag and the text after it."""
    for name, flag in flags.items():
        if flag.read is boolean:
            # The rest is its value, even without an equals sign.
            if argument.startswith(f"--{name}"):
                return name, argument.removeprefix(f"--{name}")
        elif argument.startswith(f"--{name}="):
            return name, argument.removeprefix(f"--{name}=")
    return None, ""


def usage(flags: Mapping[str, Flag]) -> str:
    """Return the list of flags with their defaults."""
    lines = ["usage: python -m graft.serving.embedded", "Flags:"]
    for name, flag in flags.items():
        default = "" if flag.default is None else flag.default
        lines.append(f"\t--{name}={str(default).lower()}")
    return "\n".join(lines) + "\n"


def boolean(text: str) -> bool:
    """Read what follows the name of a flag that is true or false.

    Raises:
        ValueError: If it is anything else.
    """
    if text in ("", "=true"):
        return True
    if text == "=false":
        return False
    raise ValueError(text)


def integer(text: str) -> int:
    """Read a whole number.

    Raises:
        ValueError: If it is none.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)
