"""Remove the files of old local runs: artifacts, working folders and logs.

A run's rows in the metadata store stay, so `graft runs` goes on listing it. So do the
gate's verdict and predictions, a few kB, from which it takes the accuracy.

Files are found by the ID of the execution that wrote them. TFX puts it into each path:

    artifacts/<node>/<output key>/<execution ID>/
    artifacts/<node>/.system/executor_execution/<execution ID>/

A run whose nodes were answered from the cache uses files of earlier executions. They
are kept with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graft.contract.counts import counted
from graft.contract.errors import DamagedFileError, UserError
from graft.pipeline.config import METADATA_FILE
from graft.pipeline.local.run_history import Run, list_runs
from graft.storage import hashing
from graft.storage.drivers import StorageError
from graft.storage.paths import parent_of

if TYPE_CHECKING:
    from graft.components.publishing.versions import Version
    from graft.pipeline.local.metadata_store import LocalMetadata

_ARTIFACTS = "artifacts"
_LOGS = "logs"
_LOCK = "retention.lock"
_VERDICT = ("Evaluator", "evaluation")


class RunUnderWayError(UserError):
    """Nothing can be removed, since a command uses the artifacts of the pipeline."""


@dataclass(frozen=True)
class Removal:
    """What is removed of a pipeline, or would be.

    Attributes:
        runs: Runs that lose files, oldest first, with the size of these in bytes.
        paths: Folders and logs to remove.
        num_bytes: Their size.
        num_unknown: Folders of executions that the metadata store doesn't know. They
            are left alone.
    """

    runs: tuple[tuple[Run, int], ...]
    paths: tuple[Path, ...]
    num_bytes: int
    num_unknown: int

    def describe(self) -> str:
        """Return such as "the files of 3 runs (120.5 MiB)"."""
        runs = counted(len(self.runs), "run")
        what = f"the files of {runs}" if self.runs else "files that no run uses"
        return f"{what} ({self.num_bytes / 2**20:,.1f} MiB)"


@contextlib.contextmanager
def artifacts_in_use(pipeline_folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep others from removing artifacts; waits while a removal is under way.

    Args:
        pipeline_folder: Folder of an existing pipeline.
    """
    with (Path(pipeline_folder) / _LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def remove_old_runs(
    pipeline_folder: str | os.PathLike[str],
    *,
    keep_runs: int,
    min_days: float = 0.0,
    only_look: bool = False,
) -> Removal:
    """Remove the files of all runs except those that are to be kept.

    Kept are the last `keep_runs` complete runs and all after the first of them, younger
    runs than `min_days`, and runs whose version is in the model store: one of these is
    served, or was compared with.

    It may be killed at any time: the next call removes what is left. No run uses an
    artifact that is half removed, since all are marked as deleted before.

    Args:
        pipeline_folder: Folder of the pipeline.
        keep_runs: Number of complete runs to keep, at least 1.
        min_days: Age in days from which a run may be removed.
        only_look: Remove nothing.

    Raises:
        RunUnderWayError: A command uses the artifacts.
        UserError: The metadata store or the model store can't be read.
    """
    from graft.pipeline.local.metadata_store import LocalMetadata

    folder = Path(pipeline_folder)
    with _alone(folder):
        runs = list_runs(folder / METADATA_FILE)
        output = folder.parents[1]
        numbers = _kept_runs(runs, output, keep_runs=keep_runs, min_days=min_days)
        kept = [run for run in runs if run.number in numbers]
        old = [run for run in runs if run.number not in numbers]
        metadata = LocalMetadata(folder / METADATA_FILE)
        removal = _plan(folder, metadata, kept, old)
        if not only_look:
            _carry_out(folder, metadata, removal.paths)
        return removal


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunUnderWayError(
                f"A command uses the artifacts of pipeline {folder.name!r}. Nothing of "
                "it was removed: run `graft gc` when the command has ended."
            ) from None
        yield


def _kept_runs(
    runs: list[Run], output: Path, *, keep_runs: int, min_days: float
) -> set[int]:
    """Return the numbers of the runs that keep their files."""
    complete = [run.number for run in runs if run.state == "complete"]
    first = complete[-keep_runs] if len(complete) >= keep_runs else 0
    youngest = time.time() - min_days * 24 * 3600
    return {
        run.number
        for run in runs
        if run.number >= first
        or run.state == "running"
        or run.started.timestamp() > youngest
    } | _runs_in_store(runs, output)


def _runs_in_store(runs: list[Run], output: Path) -> set[int]:
    """Return the numbers of the runs whose model is a version of a model store."""
    folders = {folder for run in runs for folder in _model_folders(run, output)}
    versions = [each for folder in sorted(folders) for each in _versions_in(folder)]
    paths = {version.path for version in versions}
    hashes = {version.files_hash for version in versions}
    # `graft bless` publishes a model without a trace in the run.
    return {
        run.number
        for run in runs
        if _pushed_to(run) in paths or _hash_of_judged(run) in hashes
    }


def _pushed_to(run: Run) -> str:
    """Return the folder of the version that a run pushed; "" if it pushed none."""
    pushed = run.properties.get("Pusher.pushed_model", {})
    return str(pushed.get("pushed_destination", ""))


def _model_folders(run: Run, output: Path) -> Iterator[str]:
    """Yield the folders with the versions of a run's model.

    Args:
        run: A run.
        output: Its output folder as it is named now. The run may have named it by a
            path that was relative to another folder.
    """
    from graft.components.publishing.config import PushConfig

    if _pushed_to(run):
        yield parent_of(_pushed_to(run))
    if run.config:
        push = PushConfig.model_validate(run.config["push"])
        yield push.resolved(str(output)).model_folder


def _versions_in(folder: str) -> list[Version]:
    from graft.components.publishing.versions import list_versions

    try:
        return list_versions(folder)
    except (StorageError, OSError) as error:
        raise UserError(
            f"Nothing was removed, since the model store {folder!r} can't be read: "
            f"{error}. Runs whose version it has would be kept."
        ) from error


def _hash_of_judged(run: Run) -> str | None:
    """Return the hash of the files that the gate judged; None if it judged none."""
    try:
        verdict = run.verdict()
    except DamagedFileError:
        return None
    if verdict is None or not verdict.judged_files:
        return None
    return hashing.hash_json(verdict.judged_files)


def _plan(
    folder: Path, metadata: LocalMetadata, kept: list[Run], old: list[Run]
) -> Removal:
    removable = {number for run in old for number in run.executions}
    known = removable.union(*(run.executions for run in kept))
    used = {_place_of(uri) for run in kept for uri in metadata.uris_of(run.executions)}
    sizes: dict[Path, int] = {}
    unknown = 0
    for path in _execution_folders(folder / _ARTIFACTS):
        number = int(path.name)
        unknown += number not in known
        place = _place_of(str(path))
        if number in removable and place not in used and place[:2] != _VERDICT:
            sizes[path] = _size_of(path)
    size_of_run = {
        run.number: sum(
            size for path, size in sizes.items() if int(path.name) in run.executions
        )
        for run in old
    }
    losers = tuple((run, size_of_run[run.number]) for run in old)
    sizes |= {path: _size_of(path) for path in _logs_without(kept, folder / _LOGS)}
    return Removal(
        tuple((run, size) for run, size in losers if size),
        tuple(sizes),
        sum(sizes.values()),
        unknown,
    )


def _execution_folders(artifacts: Path) -> Iterator[Path]:
    """Yield the folders of the executions, which have a number for a name."""
    for pattern in ("*/*/*", "*/.system/executor_execution/*"):
        for path in artifacts.glob(pattern):
            if path.name.isdecimal() and path.is_dir() and not path.is_symlink():
                yield path


def _place_of(uri: str) -> tuple[str, ...]:
    """Return node, output key and execution ID of a path below the artifacts' folder.

    The folder itself is left out: a run may have named it by a relative path.
    """
    parts = uri.split("/")
    if _ARTIFACTS not in parts:
        return ()
    start = len(parts) - parts[::-1].index(_ARTIFACTS)
    return tuple(parts[start : start + 3])


def _logs_without(kept: list[Run], folder: Path) -> list[Path]:
    """Return the logs of no kept run. A log that is newer than all of them stays."""
    moments = [run.started.timestamp() for run in kept]
    logs = []
    for path in folder.glob("*.log"):
        end = path.stat().st_mtime
        is_of_kept = any(_start_of(path) <= moment <= end for moment in moments)
        if not is_of_kept and end < max(moments, default=0.0):
            logs.append(path)
    return logs


def _start_of(log: Path) -> float:
    """Return when a run created its log, in seconds since 1970."""
    try:
        return time.mktime(time.strptime(log.name[:15], "%Y%m%d-%H%M%S"))
    except ValueError:
        return 0.0  # not named by a run


def _size_of(path: Path) -> int:
    paths = path.rglob("*") if path.is_dir() else (path,)
    return sum(each.lstat().st_size for each in paths if not each.is_dir())


def _carry_out(folder: Path, metadata: LocalMetadata, paths: Iterable[Path]) -> None:
    """Remove paths, after their artifacts are marked, so that no run takes them."""
    places = {_place_of(str(path)) for path in paths}
    metadata.mark_deleted(lambda uri: _place_of(uri) in places)
    for path in paths:
        # The user may have linked a folder to another disk: the link alone goes.
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
