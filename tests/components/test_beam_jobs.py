"""What workers count, and the mistakes that they find, reach the node."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import ExternalEnvironment

from graft.components import beam_jobs
from graft.components.beam_jobs import error_of_worker, job, num_workers
from graft.components.progress import Count, Progress
from graft.contract.errors import DataError, UserError
from graft.pipeline.beam_runners.worker_pool import serve


class CountSlowly(beam.DoFn):
    def __init__(self, progress: Progress, seconds: float) -> None:
        self._progress = progress
        self._seconds = seconds

    def process(self, number: int) -> Iterator[int]:
        self._progress.advance("images")
        time.sleep(self._seconds)
        yield number


def _refuse(number: int) -> int:
    raise DataError(f"`data.path` has a bad image. Received: {number}")


@contextlib.contextmanager
def other_process() -> Iterator[beam.Pipeline]:
    """Yield a pipeline that runs in a worker of a pool."""
    pool, server, port = serve("localhost:0")
    thread = threading.Thread(target=pool.run)
    thread.start()
    environment = ExternalEnvironment(f"localhost:{port}")
    try:
        yield beam.Pipeline(runner=FnApiRunner(default_environment=environment))
    finally:
        pool.stop()
        thread.join()
        server.stop(None)


def test_counts_of_another_process_arrive_during_the_job_and_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_jobs, "_FOLLOW_SECONDS", 0.1)
    progress = Progress()
    progress.expect("images", 8)
    seen: list[Count] = []
    folder = tmp_path / "reports"
    settle = progress.settle

    def note(done: Any) -> None:
        settle(done)
        seen.append(progress.snapshot()["images"])

    monkeypatch.setattr(progress, "settle", note)
    with other_process() as pipeline, job(pipeline, progress, str(folder)) as running:
        slow = CountSlowly(progress, 0.7)
        _ = running.pipeline | beam.Create(range(8)) | beam.ParDo(slow)
    assert progress.snapshot() == {"images": Count(8, 8)}
    # The first report comes with the first image, the second two seconds later.
    assert {count.done for count in seen[:-1]} & {3, 4, 5, 6, 7}
    assert not folder.exists()


def test_counts_of_this_process_are_counted_once(tmp_path: Path) -> None:
    progress = Progress()
    with job(beam.Pipeline(), progress, str(tmp_path / "reports")) as running:
        _ = (
            running.pipeline
            | beam.Create(range(5))
            | beam.ParDo(CountSlowly(progress, 0))
        )
    assert progress.snapshot() == {"images": Count(5, None)}


def test_mistake_that_a_worker_finds_is_the_users(tmp_path: Path) -> None:
    with (
        other_process() as pipeline,
        pytest.raises(DataError, match=r"^`data\.path` has a bad image. Received: 3$"),
        job(pipeline, Progress(), str(tmp_path / "reports")) as running,
    ):
        _ = running.pipeline | beam.Create([3]) | beam.Map(_refuse)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("java.lang.RuntimeException: x", None),
        ("ValueError: `key` is wrong", None),
        (
            "Traceback ...\n  File x\ngraft.contract.errors.DataError: `a` is b."
            " Received: 'c' [while running 'Extract']\n\n\tat java.Base(Base.java:3)",
            DataError("`a` is b. Received: 'c'"),
        ),
        (
            "graft.contract.errors.DamagedFileError: x is damaged\n\tat java.Base",
            UserError("x is damaged"),
        ),
    ],
)
def test_error_in_the_text_of_a_failure(text: str, expected: UserError | None) -> None:
    found = error_of_worker(text)
    assert (type(found), str(found)) == (type(expected), str(expected))


def test_half_written_report_does_no_harm(tmp_path: Path) -> None:
    progress = Progress()
    progress.report_into(str(tmp_path))
    (tmp_path / "one.counts").write_text(json.dumps({"images": 2}))
    (tmp_path / "two.counts").write_text(json.dumps({"images": 3, "files": 1}))
    (tmp_path / ".three.unfinished").write_text("{")
    progress.read_reports()
    assert progress.snapshot() == {"images": Count(5, None), "files": Count(1, None)}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], 0),
        (["--direct_num_workers=2"], 0),
        (["--runner=FlinkRunner", "--parallelism=3", "--sdk_container_image=x"], 3),
        (["--max_num_workers=5", "--sdk_container_image=x"], 5),
    ],
)
def test_only_a_cluster_has_workers(arguments: list[str], expected: int) -> None:
    assert num_workers(PipelineOptions(arguments)) == expected
