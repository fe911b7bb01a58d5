"""Memory that is freed is kept for the next request."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import ctypes, resource, sys
from graft.serving.embedded import allocation

print(allocation.keep_small_blocks())
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def use(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)

use(2**21)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use(2**21)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**variables):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_")
    }
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    was_set, num_faults = done.stdout.split()
    return was_set == "True", int(num_faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's malloc")
def test_freed_memory_is_kept():
    was_set, num_faults = run()
    assert was_set
    # 2 MiB have 512 pages.
    assert num_faults < 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's malloc")
def test_the_environment_decides():
    was_set, num_faults = run(MALLOC_MMAP_THRESHOLD_="65536")
    assert not was_set
    assert num_faults > 20 * 500
