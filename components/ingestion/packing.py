"""Rows that workers exchange: many in one element, as JSON.

Beam spends more time on an element than ingestion spends on a row. JSON, unlike Beam's
own coding of text, takes file names that are not UTF-8.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

Packed = tuple[int, bytes]
"""A key, such as the number of a shard, and its rows."""

_KEY_DIGITS = 8
_MOST_PLAIN = 4096
_COMPRESSED = b"z"
"""How compressed rows begin; JSON does not."""


def range_of(digest: str, number: int) -> int:
    """Return the range of a hash, of `number` ranges of about equal size.

    Args:
        digest: Hexadecimal digits.
        number: Number of ranges. A higher hash is in the same range or a later one.
    """
    return int(digest[:_KEY_DIGITS], 16) * number >> 4 * _KEY_DIGITS


def pack(rows: Iterable[tuple[int, Any]]) -> Iterator[Packed]:
    """Pack rows with equal keys together.

    Args:
        rows: Pairs of a key and a JSON value.
    """
    by_key: dict[int, list[Any]] = defaultdict(list)
    for key, row in rows:
        by_key[key].append(row)
    for key, found in by_key.items():
        packed = json.dumps(found).encode()
        # A runner may hold all rows in memory. Names compress to a third.
        is_long = len(packed) > _MOST_PLAIN
        yield key, _COMPRESSED + zlib.compress(packed, 1) if is_long else packed


def unpack(several: Iterable[bytes]) -> Iterator[Any]:
    """Yield the rows of packed elements."""
    for packed in several:
        is_compressed = packed.startswith(_COMPRESSED)
        yield from json.loads(zlib.decompress(packed[1:]) if is_compressed else packed)
