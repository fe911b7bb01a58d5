"""Memory of ingestion, with few images and with ten times as many."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest

from graft.contract.example_keys import CLASS_NAME_KEY, IMAGE_KEY
from graft.serving import child_process
from graft.storage import tfrecords

FEW, MANY = 25_000, 250_000
PROGRAM = """
    import resource, sys
    import apache_beam as beam
    from graft.components.ingestion.ingest import OutputFolders, ingest
    from graft.components.ingestion.sources.config import DataConfig
    from graft.pipeline.beam_settings import keep_beam_local

    keep_beam_local()
    data, out = sys.argv[1:]
    outputs = OutputFolders(*(f"{out}/{name}" for name in OutputFolders._fields))
    summary = ingest(DataConfig(path=data), outputs, beam.Pipeline)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f'[{summary.num_written}, {peak}]')
"""


def _png(number: int) -> bytes:
    """Return a small image that no other number has. All have one size in bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    pixels = b"".join(b"\0" + struct.pack(">6I", *[number] * 6) for _ in range(8))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(pixels, 0)),
            chunk(b"IEND", b""),
        ]
    )


def _write_records(folder: Path, number: int) -> None:
    import tensorflow as tf

    folder.mkdir()
    with tfrecords.writer(str(folder / "images.tfrecord")) as records:
        for index in range(number):
            example = tf.train.Example()
            feature = example.features.feature
            feature[IMAGE_KEY].bytes_list.value.append(_png(index))
            label = f"class {index % 10}".encode()
            feature[CLASS_NAME_KEY].bytes_list.value.append(label)
            records.write(example.SerializeToString())


def _peak_of(folder: Path, number: int) -> int:
    """Ingest images in a process of its own, and return its peak memory in KiB."""
    _write_records(folder / "data", number)
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    finished = subprocess.run(
        child_process.command([*words, str(folder / "data"), str(folder / "out")]),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    written, peak = json.loads(finished.stdout.splitlines()[-1])
    assert written == number
    return int(peak)


@pytest.mark.large
@pytest.mark.timeout(3600)
def test_memory_does_not_grow_with_the_images(tmp_path: Path):
    """Ingest 275,000 images, which takes some minutes.

    All have one size in bytes, so all are hashed and compared.
    """
    peaks = []
    for number in (FEW, MANY):
        (tmp_path / str(number)).mkdir()
        peaks.append(_peak_of(tmp_path / str(number), number))
    sys.stdout.write(f"peak memory: {peaks[0]:,} and {peaks[1]:,} KiB\n")
    assert peaks[1] <= 1.1 * peaks[0], peaks
