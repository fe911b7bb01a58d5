"""Beam's worker processes end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

START = """
import time
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from graft.pipeline.beam_settings import keep_beam_local

keep_beam_local()
options = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    pipeline | beam.Create([300]) | beam.Map(time.sleep)
"""


def descendants(process_id: int) -> set[int]:
    """Return the IDs of a process's children, their children and so on."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if stat[0] != "Z":
            children.setdefault(int(stat[1]), []).append(int(folder.name))
    found: set[int] = set()
    pending = [process_id]
    while pending:
        new = children.get(pending.pop(), [])
        found.update(new)
        pending.extend(new)
    return found


def is_alive(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills such children")
def test_workers_end_with_the_pipeline(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    with log_path.open("wb") as log:
        pipeline = subprocess.Popen(
            [sys.executable, "-c", START], stdout=log, stderr=log
        )
    workers: set[int] = set()
    try:
        deadline = time.monotonic() + 120
        # A worker that has not yet reached the pipeline tries to for a minute.
        while len(workers) < 2:
            assert pipeline.poll() is None, log_path.read_text()
            assert time.monotonic() < deadline, log_path.read_text()
            time.sleep(0.1)
            workers = descendants(pipeline.pid)
        pipeline.send_signal(signal.SIGKILL)
        pipeline.wait()
        deadline = time.monotonic() + 10
        while any(map(is_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert [worker for worker in workers if is_alive(worker)] == []
    finally:
        pipeline.kill()
        pipeline.wait()
        for worker in filter(is_alive, workers):
            os.kill(worker, signal.SIGKILL)
