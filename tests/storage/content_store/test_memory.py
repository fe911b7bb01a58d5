"""Memory of BottleneckFeatures' lookups, with few rows and with ten times as many."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from graft.serving import child_process
from graft.storage.content_store.store import ContentStore

FEW, MANY = 25_000, 250_000
PARTS = {"engine": "a"}
ROWS_OF_A_FILE, ROWS_OF_A_SHARD, ROWS_OF_A_BATCH = 2_500, 5_000, 250
PROGRAM = """
    import hashlib, resource, sys
    from graft.storage.content_store.store import ContentStore

    folder, number = sys.argv[1], int(sys.argv[2])
    store = ContentStore(folder, {"engine": "a"}).open()
    num_found = 0
    for start in range(0, number, SHARD):
        shard = range(start, start + SHARD)
        keys = [hashlib.sha256(str(each).encode()).digest() for each in shard]
        assert not store.lacking(keys)
        for first in range(0, SHARD, BATCH):
            some = keys[first : first + BATCH]
            names, rows = store.places(some)
            values = store.read(some)
            assert values[-1, 0] == start + first + BATCH - 1
            num_found += len(values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"[{num_found}, {peak}]")
"""


def _peak_of(folder: Path, number: int) -> int:
    """Look rows up in a process of its own, and return its peak memory in KiB."""
    store = ContentStore(str(folder), PARTS).open()
    for start in range(0, number, ROWS_OF_A_FILE):
        numbers = range(start, start + ROWS_OF_A_FILE)
        keys = [hashlib.sha256(str(each).encode()).digest() for each in numbers]
        store.put(keys, np.repeat(np.array(numbers, np.float32)[:, None], 64, axis=1))
    program = textwrap.dedent(PROGRAM)
    program = program.replace("SHARD", str(ROWS_OF_A_SHARD))
    program = program.replace("BATCH", str(ROWS_OF_A_BATCH))
    words = [sys.executable, "-c", program, str(folder), str(number)]
    finished = subprocess.run(
        child_process.command(words), check=True, stdout=subprocess.PIPE, text=True
    )
    num_found, peak = json.loads(finished.stdout.splitlines()[-1])
    assert num_found == number
    return int(peak)


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path):
    peaks = [_peak_of(tmp_path / str(number), number) for number in (FEW, MANY)]
    sys.stdout.write(f"peak memory: {peaks[0]:,} and {peaks[1]:,} KiB\n")
    assert peaks[1] <= 1.1 * peaks[0], peaks
