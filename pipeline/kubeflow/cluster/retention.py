"""Remove the files of old runs from the pipeline root of a cluster.

Kubeflow writes the outputs of a step to the root:

    <root>/<pipeline>/<run id>/<step>/<uuid>/<output key>

A step that was answered from the cache has no folder: the run uses the files of an
earlier run, and nothing in the root tells which. So an old run is kept if a later run,
which is kept, lacks the folder of a step that the old run has.

The cache does not look whether files exist. Kubeflow forgets the answers of a run when
the run is deleted, so that is done first.
docs/decisions/0082-retention-on-kubeflow.md has the reasons.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from graft.components.evaluation.verdict import VERDICT_FILE, load_verdict
from graft.components.publishing.versions import list_versions
from graft.contract.counts import counted
from graft.contract.errors import DamagedFileError, UserError
from graft.pipeline.kubeflow.cluster.api import Api, ApiError
from graft.pipeline.kubeflow.cluster.following import UNFINISHED
from graft.storage import files, hashing, listing
from graft.storage.drivers import StorageError
from graft.storage.paths import join

_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEPTH_OF_OUTPUT = 4
"""Least number of parts of a file's name below the folder of its pipeline."""
_NOT_FOUND = 404
_GATE = "Evaluator"


class RunsUnderWayError(UserError):
    """Nothing can be removed, since a run may use any of the files."""


@dataclass
class StoredRun:
    """The files of a run in the pipeline root.

    Attributes:
        run_id: Id of the run.
        folder: Where its files are.
        num_bytes: Their size.
        oldest: When the first of them was written, in seconds since 1970.
        newest: When the last of them was written.
        steps: Names of the steps that wrote files.
        verdicts: The gate's verdicts.
        state: State on the cluster; empty if it doesn't know the run.
    """

    run_id: str
    folder: str
    num_bytes: int = 0
    oldest: float = float("inf")
    newest: float = 0.0
    steps: set[str] = field(default_factory=set)
    verdicts: list[str] = field(default_factory=list)
    state: str = ""

    def add(self, entry: listing.FileEntry) -> None:
        """Count a file of the run."""
        modified = entry.modified / 1e9
        self.num_bytes += entry.size or 0
        self.oldest = min(self.oldest, modified)
        self.newest = max(self.newest, modified)
        step = entry.parts[1]
        self.steps.add(step)
        if step == _GATE and entry.parts[-1] == VERDICT_FILE:
            self.verdicts.append(entry.path)

    def may_use(self, other: StoredRun) -> bool:
        """Return whether a step of this run may have been answered by another run."""
        return self.newest >= other.oldest and not other.steps <= self.steps


@dataclass(frozen=True)
class RemovalOnCluster:
    """What is removed of a pipeline, or would be.

    Attributes:
        removed: Runs whose files go, oldest first.
        in_use: Old runs that stay, since a later run may have used their files.
        num_unknown: Files that are in no folder of a run. They are left alone.
    """

    removed: tuple[StoredRun, ...]
    in_use: tuple[StoredRun, ...]
    num_unknown: int

    @property
    def num_bytes(self) -> int:
        """Size of the files that go."""
        return sum(run.num_bytes for run in self.removed)

    def describe(self) -> str:
        """Return such as "3 runs (120.5 MiB)"."""
        runs = counted(len(self.removed), "run")
        return f"{runs} ({self.num_bytes / 2**20:,.1f} MiB)"


def find_pipeline(root: str, name: str | None) -> str:
    """Return the name of the only pipeline in a root, or the one that is asked for.

    Raises:
        UserError: The root has no pipelines, none of this name, or several.
    """
    if root.startswith("minio://"):
        raise UserError(
            "`--root` must be a folder, or begin with s3:// or gs://. Name MinIO's "
            f"bucket with s3://, and its address with AWS_ENDPOINT_URL. Received: "
            f"{root!r}"
        )
    found = sorted(
        each
        for each in (files.list_folder(root) if files.exists(root) else ())
        if files.is_folder(join(root, each))
    )
    if not found:
        raise UserError(
            "`--root` must be the pipeline root of the cluster, with a folder for each "
            f"pipeline. Received: {root!r}, which has none"
        )
    if name in found:
        return str(name)
    if name is None and len(found) == 1:
        return found[0]
    raise UserError(
        f"`--pipeline` must be one of: {', '.join(found)}. Received: {name!r}"
    )


def remove_old_runs(
    api: Api,
    root: str,
    pipeline: str,
    model_folders: Sequence[str],
    *,
    keep_runs: int,
    min_days: float = 0.0,
    only_look: bool = False,
) -> RemovalOnCluster:
    """Remove the old runs of a pipeline, from the cluster and from the root.

    Kept are the last `keep_runs` runs that succeeded and all after the first of them,
    runs with a file younger than `min_days`, runs whose version is in the model store,
    and runs whose files one of these may have used. It may be killed at any time: the
    next call removes what is left.

    Args:
        api: The cluster.
        root: Its pipeline root.
        pipeline: Name of the pipeline.
        model_folders: Folders with the versions of its models.
        keep_runs: Number of successful runs to keep, at least 1.
        min_days: Age in days from which a run may be removed.
        only_look: Remove nothing.

    Raises:
        RunsUnderWayError: A run that may be of this pipeline has not ended.
        ApiError: The cluster refused a call, or did not answer.
        UserError: The model store can't be read.
        OSError: The root can't be read or changed.
    """
    runs, num_unknown = _read_runs(join(root, pipeline))
    others = _run_ids_elsewhere(root, pipeline)
    states = _states(api, pipeline, others)
    for run in runs:
        run.state = states.get(run.run_id, "")
    kept = _kept(runs, keep_runs=keep_runs, min_days=min_days)
    kept |= _in_model_store(runs, kept, model_folders)
    in_use = _in_use(runs, kept)
    stay = kept | {run.run_id for run in in_use}
    removed = tuple(run for run in runs if run.run_id not in stay)
    if removed and not only_look:
        _forget(api, removed)
        # A run that began in between may have been answered by one of them.
        _states(api, pipeline, others)
        for run in removed:
            files.remove_folder(run.folder)
    return RemovalOnCluster(removed, in_use, num_unknown)


def _read_runs(folder: str) -> tuple[list[StoredRun], int]:
    """Return the runs with files in a pipeline's folder, oldest first."""
    runs: dict[str, StoredRun] = {}
    num_unknown = 0
    for entry in listing.list_tree(folder).files:
        name = entry.parts[0]
        if not _RUN_ID.fullmatch(name) or len(entry.parts) < _DEPTH_OF_OUTPUT:
            num_unknown += 1
            continue
        runs.setdefault(name, StoredRun(name, join(folder, name))).add(entry)
    return sorted(runs.values(), key=lambda run: run.newest), num_unknown


def _run_ids_elsewhere(root: str, pipeline: str) -> set[str]:
    """Return the ids of the runs of other pipelines that have written files."""
    return {
        run_id
        for name in files.list_folder(root)
        if name != pipeline and files.is_folder(join(root, name))
        for run_id in files.list_folder(join(root, name))
    }


def _states(api: Api, pipeline: str, others: Collection[str]) -> dict[str, str]:
    """Return the state of each run that the cluster knows.

    Args:
        api: The cluster.
        pipeline: The pipeline.
        others: Ids of runs that are known to be of other pipelines.

    Raises:
        RunsUnderWayError: A run of none of these has not ended.
    """
    found = api.pages(
        api.runs.run_service_list_runs,
        field="runs",
        namespace=api.connection.namespace or None,
        page_size=100,
    )
    states = {
        api.required_id(run.run_id, "a run"): str(run.state or "PENDING")
        for run in found
    }
    for run_id, state in states.items():
        if state in UNFINISHED and run_id not in others:
            raise RunsUnderWayError(
                f"The run {run_id} is {state}, and may use the files of pipeline "
                f"{pipeline!r}. Nothing of it was removed: run `graft gc` when it has "
                "ended."
            )
    return states


def _kept(runs: list[StoredRun], *, keep_runs: int, min_days: float) -> set[str]:
    """Return the ids of the runs that number and age keep."""
    complete = [run.newest for run in runs if run.state == "SUCCEEDED"]
    first = complete[-keep_runs] if len(complete) >= keep_runs else 0.0
    youngest = time.time() - min_days * 24 * 3600
    return {run.run_id for run in runs if run.newest >= first or run.newest > youngest}


def _in_model_store(
    runs: Sequence[StoredRun], kept: Collection[str], model_folders: Sequence[str]
) -> set[str]:
    """Return the ids of the other runs whose model is a version of a model store."""
    others = [run for run in runs if run.run_id not in kept]
    if not others:
        return set()
    nothing = "Nothing was removed, since runs whose version is in the model store stay"
    try:
        versions = [each for folder in model_folders for each in list_versions(folder)]
    except (StorageError, OSError) as error:
        raise UserError(f"{nothing}, and it can't be read: {error}") from error
    if not versions:
        raise UserError(
            f"{nothing}. `--model-dir` must be a folder with the versions of a model. "
            f"Received: {', '.join(map(repr, model_folders))}, without any"
        )
    for version in versions:
        if version.manifest_damage is not None:
            raise UserError(
                f"{nothing}, and the manifest of {version.path!r} is damaged: "
                f"{version.manifest_damage}. `graft models --repair` mends what it can."
            )
    hashes = {version.files_hash for version in versions}
    return {run.run_id for run in others if not hashes.isdisjoint(_judged(run))}


def _in_use(runs: Sequence[StoredRun], kept: Collection[str]) -> tuple[StoredRun, ...]:
    """Return the other runs whose files a run that stays may have used."""
    users = [run for run in runs if run.run_id in kept]
    in_use = []
    for run in reversed(runs):
        if run.run_id in kept or not any(user.may_use(run) for user in users):
            continue
        in_use.append(run)
        # It may itself use files of one before it.
        users.append(run)
    return tuple(reversed(in_use))


def _judged(run: StoredRun) -> Iterator[str]:
    """Yield the hash of the files of each model that the gate judged in a run."""
    for path in run.verdicts:
        try:
            judged = load_verdict(path).judged_files
        except DamagedFileError:
            continue
        if judged:
            yield hashing.hash_json(judged)


def _forget(api: Api, runs: Sequence[StoredRun]) -> None:
    """Delete runs from the cluster, and with them their answers in its cache.

    Raises:
        ApiError: The cluster refused. It may know the run without listing it, as that
            of another namespace.
    """
    for run in runs:
        try:
            api.call(api.runs.run_service_delete_run, run.run_id)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
