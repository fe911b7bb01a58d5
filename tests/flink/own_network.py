"""Run a program with a network of its own, which has loopback and nothing else.

    own_network.py PROGRAM ARGUMENTS...

Beam's services inside a TaskManager listen on all addresses, and no setting changes
that. In a network namespace of Linux nobody else can reach them.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SET_FLAGS, _UP = 0x8914, 1


def is_own_network() -> bool:
    """Return whether loopback is the only interface."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def enter_own_network() -> None:
    """Give this process, and those that it will start, a network of their own.

    Raises:
        OSError: The kernel, or the container that this runs in, does not allow it.
    """
    enter_namespace(_CLONE_NEWNET)
    with socket.socket() as any_socket:
        loopback_up = struct.pack("16sh14x", b"lo", _UP)
        fcntl.ioctl(any_socket, _SET_FLAGS, loopback_up)


def enter_namespace(kind: int) -> None:
    """Give this process a namespace of Linux of its own.

    Args:
        kind: The flag of `unshare`.

    Raises:
        OSError: The kernel, or the container that this runs in, does not allow it.
    """
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    # Only root may do it just so. Others need a user namespace, too.
    if libc.unshare(kind) != 0:
        if libc.unshare(_CLONE_NEWUSER | kind) != 0:
            raise OSError(ctypes.get_errno(), "no namespace can be made")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


if __name__ == "__main__":
    enter_own_network()
    os.execvp(sys.argv[1], sys.argv[1:])
