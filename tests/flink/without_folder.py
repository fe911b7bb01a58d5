"""Run a program that does not see a folder, as in another pod.

    without_folder.py FOLDER PROGRAM ARGUMENTS...

In a mount namespace of Linux an empty file system lies over the folder.
"""

from __future__ import annotations

import ctypes
import os
import sys

from own_network import enter_namespace

_CLONE_NEWNS, _PRIVATE, _RECURSIVE = 0x00020000, 1 << 18, 1 << 14


def hide(folder: str) -> None:
    """Hide what is in a folder from this process, and from those that it will start.

    Raises:
        OSError: The kernel, or the container that this runs in, does not allow it.
    """
    enter_namespace(_CLONE_NEWNS)
    libc = ctypes.CDLL(None, use_errno=True)
    private = (b"none", b"/", None, _PRIVATE | _RECURSIVE, None)
    empty = (b"none", os.fsencode(folder), b"tmpfs", 0, None)
    if libc.mount(*private) != 0 or libc.mount(*empty) != 0:
        raise OSError(ctypes.get_errno(), f"{folder!r} can't be hidden")


if __name__ == "__main__":
    hide(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
