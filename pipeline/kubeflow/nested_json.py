r"""Read and replace a value inside JSON that is nested in strings of JSON.

TFX passes properties to a component as text, and graft's hold configs as text again:
`{"training": "{\"epochs\": 30}"}`. A path walks through both, as `("training",
"epochs")`. Standard library only: containers import this before anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

Key = str | int


def read(text: str, path: Sequence[Key]) -> Any:
    """Return the value at `path`.

    Args:
        text: JSON.
        path: Keys of objects and indexes of lists; empty: the text itself.

    Returns:
        The value; text is returned unchanged.

    Raises:
        KeyError: There is nothing at `path`.
    """
    value: Any = text
    for depth, key in enumerate(path):
        if isinstance(value, str):
            value = _parse(value, path[:depth])
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise KeyError(f"nothing at {list(path[: depth + 1])!r}") from None
    return value


def replace(text: str, path: Sequence[Key], value: Any) -> str:
    """Return `text` with the value at `path`, which must exist, replaced.

    Raises:
        KeyError: There is nothing at `path`.
    """
    read(text, path)
    if not path:
        return value if isinstance(value, str) else json.dumps(value)
    return json.dumps(_replace(json.loads(text), path, value))


def texts(text: str) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield path and value of every string in `text`, nested JSON opened."""
    yield from _texts((), text)


def _replace(node: Any, path: Sequence[Key], value: Any) -> Any:
    if isinstance(node, str):
        return json.dumps(_replace(json.loads(node), path, value))
    key, rest = path[0], path[1:]
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[key] = _replace(copy[key], rest, value) if rest else value  # type: ignore[index]
    return copy


def _texts(path: tuple[Key, ...], node: Any) -> Iterator[tuple[tuple[Key, ...], str]]:
    if isinstance(node, str):
        opened = None
        if node[:1] in ("{", "["):
            try:
                opened = json.loads(node)
            except ValueError:
                opened = None
        if opened is None:
            yield path, node
        else:
            yield from _texts(path, opened)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts((*path, key), value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts((*path, index), value)


def _parse(text: str, path: Sequence[Key]) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise KeyError(f"no JSON at {list(path)!r}") from None
