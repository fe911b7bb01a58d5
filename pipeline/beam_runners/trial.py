"""A small Beam job that tries a runner before the first step.

It shows at once that the runner takes jobs, that its workers start and have the same
code, and that they see the folders that they will read and write.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from graft.pipeline.beam_runners.flink_checks import RunnerError
from graft.pipeline.code_fingerprint import CodeFingerprints
from graft.storage import atomic, files
from graft.storage.paths import join

METRICS_NAMESPACE = "graft.trial"
_TOKEN_FILE = "token"  # noqa: S105 - the name of a file
_TALK_SECONDS = 10.0
_ELEMENTS_PER_WORKER = 4
_CODE_OF_WORKERS = (
    "graft.components.features.extraction.ExtractShard",
    "graft.components.ingestion.moving.FillEmptySplits",
    "graft.components.quality.measuring_job.MeasureShard",
    "graft.components.transform.preprocessing_fn",
)
_LAST_CHARACTERS = 1500


def try_runner(
    arguments: Sequence[str],
    folders: Mapping[str, str],
    *,
    parallelism: int,
    timeout_seconds: float,
    say: Callable[[str], None],
    why_late: Callable[[], str],
) -> None:
    """Run the job.

    Args:
        arguments: Beam's arguments.
        folders: What the workers must see: its key in the config, and its path. In the
            first one both write. Only paths of a local file system are tried.
        parallelism: Number of workers to expect.
        timeout_seconds: How long it may take.
        say: Called every ten seconds with what is being waited for.
        why_late: Returns a sentence for the message of a timeout.

    Raises:
        RunnerError: The runner can't run the pipeline; the message says why.
    """
    key, folder = next(iter(folders.items()))
    work = join(folder, f".trial-{uuid.uuid4().hex}")
    token = uuid.uuid4().hex
    files.make_folder(work)
    atomic.write_text(join(work, _TOKEN_FILE), token)
    read = {
        each: _existing(path)
        for each, path in list(folders.items())[1:]
        if os.path.isabs(path)
    }
    worker = TryWorker(work, token, read)
    trial = _Trial(arguments, worker, parallelism)
    try:
        trial.run(timeout_seconds, say, why_late)
        _check_reports(trial.reports, folders)
        _check_files(trial.reports, key, folder, work)
    finally:
        files.remove_folder(work)


class _Trial:
    """The job, in a thread: neither its submission nor its end have a time limit."""

    def __init__(
        self, arguments: Sequence[str], worker: TryWorker, parallelism: int
    ) -> None:
        self._pipeline = beam.Pipeline(options=PipelineOptions(list(arguments)))
        _ = (
            self._pipeline
            | beam.Create(range(parallelism * _ELEMENTS_PER_WORKER))
            | "Spread" >> beam.Reshuffle()
            | "Try" >> beam.ParDo(worker)
        )
        self._result: Any = None
        self._error: BaseException | None = None
        self.reports: list[dict[str, Any]] = []

    def run(
        self,
        timeout_seconds: float,
        say: Callable[[str], None],
        why_late: Callable[[], str],
    ) -> None:
        thread = threading.Thread(target=self._run, daemon=True, name="trial")
        thread.start()
        start = time.monotonic()
        while thread.is_alive():
            thread.join(_TALK_SECONDS)
            seconds = time.monotonic() - start
            if thread.is_alive() and seconds > timeout_seconds:
                reason = why_late()
                threading.Thread(target=self._cancel, daemon=True).start()
                raise RunnerError(
                    "The job that tries the runner has not ended after "
                    f"{seconds:.0f} s (`beam.start_timeout_seconds`). {reason}"
                )
            if thread.is_alive():
                say(f"Waiting for the runner's first job, {seconds:.0f} s")
        if self._error is not None:
            raise RunnerError(
                f"The job that tries the runner failed: {_end_of(self._error)}"
            ) from self._error

    def _run(self) -> None:
        try:
            self._result = self._pipeline.run()
            self._result.wait_until_finish()
            wanted = beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
            counters = self._result.metrics().query(wanted)["counters"]
            self.reports = [json.loads(each.key.metric.name) for each in counters]
        except BaseException as error:
            self._error = error

    def _cancel(self) -> None:
        if self._result is not None:
            self._result.cancel()


class TryWorker(beam.DoFn):
    """Report a worker's code, and which folders it sees.

    The report is the name of a counter. Counters come back from every runner, and files
    only from workers that see the folder.

    Args:
        work: A folder with a file that holds the token. The worker writes another one.
        token: The text in it.
        read: Paths that the worker must see, by their keys.
    """

    def __init__(self, work: str, token: str, read: Mapping[str, str]) -> None:
        self._work = work
        self._token = token
        self._read = dict(read)
        self._code = code_of_workers()

    def process(self, number: int) -> Iterator[None]:
        """Count one report."""
        report = {
            "process": f"{socket.gethostname()}-{os.getpid()}",
            "other_code": self._code_problem(),
            "unseen": self._folder_problem(),
            "missing": [
                key for key, path in self._read.items() if not os.path.exists(path)
            ],
        }
        name = json.dumps(report, sort_keys=True)
        beam.metrics.Metrics.counter(METRICS_NAMESPACE, name).inc()
        yield from ()

    def _code_problem(self) -> str:
        found = code_of_workers()
        different = [key for key, value in self._code.items() if found[key] != value]
        return "; ".join(
            f"{key} there {found[key]!r}, here {self._code[key]!r}" for key in different
        )

    def _folder_problem(self) -> str:
        try:
            found = files.read_text(join(self._work, _TOKEN_FILE))
            if found != self._token:
                return "another folder has the same path there"
            name = f"{socket.gethostname()}-{os.getpid()}"
            atomic.write_text(join(self._work, name), self._token)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""


def code_of_workers() -> dict[str, str]:
    """Return what must be the same in this process and in the workers."""
    return {
        "Beam": beam.__version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        # With the versions of all libraries that the code imports.
        "graft's code": CodeFingerprints().of(*_CODE_OF_WORKERS)[:12],
    }


def _existing(path: str) -> str:
    """Return a path, or the next folder above it that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _check_reports(reports: list[dict[str, Any]], folders: Mapping[str, str]) -> None:
    if not reports:
        raise RunnerError("The job that tries the runner ended without any answer.")
    for report in reports:
        if report["other_code"]:
            raise RunnerError(
                f"Worker {report['process']} has other code: {report['other_code']}. "
                "Start the workers from the same image, or environment, as graft."
            )
        for key in report["missing"]:
            raise RunnerError(
                f"{key} must be a path that the workers see. Worker "
                f"{report['process']} does not. Received: {folders[key]!r}. Mount the "
                "same volume, at the same path, here and into the workers."
            )


def _check_files(
    reports: list[dict[str, Any]], key: str, folder: str, work: str
) -> None:
    for report in reports:
        if report["unseen"] or not files.exists(join(work, report["process"])):
            problem = report["unseen"] or "its file did not arrive here"
            raise RunnerError(
                f"{key} must be a folder that the workers read and write. "
                f"Worker {report['process']} does not: {problem}. Received: "
                f"{folder!r}. Mount the same volume, at the same path, here and into "
                "the workers."
            )


def _end_of(error: BaseException) -> str:
    """Return what an error says, without the traces of Java before it."""
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= _LAST_CHARACTERS else f"... {text[-_LAST_CHARACTERS:]}"
