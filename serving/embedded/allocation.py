"""How glibc's malloc keeps memory that was freed."""

from __future__ import annotations

import ctypes
import os

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""mallopt's parameters, of malloc.h."""
KEPT_BYTES = 16 * 2**20
"""Most bytes that stay at the top of each of malloc's arenas."""
LARGE_BYTES = 4 * 2**20
"""Blocks from this size on are returned when they are freed."""


def keep_small_blocks() -> bool:
    """Let malloc keep what a request frees, for the next one.

    By default glibc returns the memory of a message when it is freed. Each page of the
    next message then costs a fault. docs/decisions/0070-request-limits.md has figures.

    Returns:
        Whether it was done: not without glibc, nor if `MALLOC_...` of the environment
        says something else.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # Either of them turns off glibc's own choice of both.
    done = (
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES),
        mallopt(_MMAP_THRESHOLD, LARGE_BYTES),
    )
    return all(done)
