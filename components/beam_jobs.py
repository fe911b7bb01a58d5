"""Run a Beam job to its end, here or on a cluster."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from graft.components.progress import METRICS_NAMESPACE, Progress
from graft.contract import errors
from graft.storage import files

logger = logging.getLogger(__name__)

_FOLLOW_SECONDS = 2.0
_ERROR_IN_A_WORKER = re.compile(
    r"graft\.contract\.errors\.(?P<kind>\w+): (?P<message>.*?)"
    r"(?= \[while running '|\n\s*\n|\n\s*at |\nTraceback|\Z)",
    re.DOTALL,
)
"""A worker's error in the text of a job's failure."""


def num_workers(options: PipelineOptions) -> int:
    """Return the number of a cluster's workers; 0 for the local runner."""
    found = options.get_all_options()
    numbers = (found.get("parallelism"), found.get("max_num_workers"))
    return max(0, *(number or 0 for number in numbers))


@contextlib.contextmanager
def job(pipeline: beam.Pipeline, progress: Progress, folder: str) -> Iterator[Job]:
    """Yield a pipeline to which transforms are applied, and run it then.

    Example:
        with job(make_pipeline(), progress, folder) as running:
            running.pipeline | beam.Create(tasks) | beam.ParDo(Work(progress))
        counters = running.result.metrics()

    Args:
        pipeline: An empty pipeline.
        progress: The node's counters, which its DoFns count in.
        folder: A folder that the workers see, for their reports. It is removed.

    Yields:
        An object with `pipeline` and, after the `with` statement, its `result`.

    Raises:
        UserError: A worker raised one.
        Exception: What else the runner raised.
    """
    running = Job(pipeline)
    files.make_folder(folder)
    # Before transforms are applied: Beam copies a DoFn when it is applied.
    progress.report_into(folder)
    try:
        yield running
        running.run(progress)
    finally:
        progress.report_into("")
        files.remove_folder(folder)


class Job:
    """A job; see `job`.

    Attributes:
        pipeline: The pipeline.
        result: The result of the job, after its end.
    """

    def __init__(self, pipeline: beam.Pipeline) -> None:
        self.pipeline = pipeline
        self.result: Any = None

    def run(self, progress: Progress) -> None:
        """Run the pipeline to its end."""
        ended = threading.Event()
        follower = threading.Thread(
            target=self._follow, args=(progress, ended), daemon=True
        )
        follower.start()
        try:
            self.result = self.pipeline.run()
            self.result.wait_until_finish()
        except Exception as error:
            found = error_of_worker(str(error))
            if found is None or isinstance(error, errors.UserError):
                raise
            raise found from error
        finally:
            ended.set()
            follower.join()
        progress.settle(self._counted())

    def _follow(self, progress: Progress, ended: threading.Event) -> None:
        while not ended.wait(_FOLLOW_SECONDS):
            try:
                progress.read_reports()
            except Exception:
                # A report may be half a second old, or gone. The job goes on.
                logger.debug("no progress could be read", exc_info=True)

    def _counted(self) -> dict[str, int]:
        wanted = beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
        found = self.result.metrics().query(wanted)["counters"]
        counts: dict[str, int] = {}
        for counter in found:
            name = counter.key.metric.name
            number = counter.committed or counter.attempted or 0
            counts[name] = counts.get(name, 0) + number
        return counts


def error_of_worker(text: str) -> errors.UserError | None:
    """Return the user's mistake that a worker found, from the text of a failure."""
    match = _ERROR_IN_A_WORKER.search(text)
    if match is None:
        return None
    kind: type[errors.UserError] = getattr(errors, match["kind"], errors.UserError)
    # The constructor of this one takes a path.
    if kind is errors.DamagedFileError:
        kind = errors.UserError
    return kind(match["message"])
