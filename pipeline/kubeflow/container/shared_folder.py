"""Artifacts where the workers of a cluster see them, too.

The launcher keeps the files of a step in its pod. Workers of Flink run in other pods.
So the executor gets paths below a folder that both mount:

    work/<step>/<hash>/<name>    what a step writes; removed at its end
    artifacts/<hash>/<name>      whole artifacts, for later steps
    tried/<hash>                 the runs whose workers were tried

The hash is that of the artifact's URI. An output is copied from there to where the
launcher uploads it from, and stays for the steps that read it. An input is copied only
if it is not there, or has other files than the launcher downloaded.

Nobody tells when a run has ended. So what no step has used for a day is removed, and so
is the work of steps that were killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from graft.pipeline.kubeflow.container import executor_input
from graft.pipeline.kubeflow.container.executor_input import StepError, UriMap
from graft.storage import copying, files, hashing
from graft.storage.content_store.references import STORE_FILE, copy_reference

TRIED = "tried"
_WORK, _ARTIFACTS = "work", "artifacts"
_UNUSED_SECONDS = {_WORK: 3600, _ARTIFACTS: 86_400, TRIED: 86_400}
_TOUCH_SECONDS = 60.0
_COPIES_AT_ONCE = 8


@contextlib.contextmanager
def shared_artifacts(folder: str, step: str, uris: UriMap) -> Iterator[SharedArtifacts]:
    """Yield the shared folder for the time of a step.

    Args:
        folder: The folder; it is made if it is missing.
        step: Name of the step.
        uris: Tells the URI of a local path.

    Raises:
        StepError: The folder can't be written.
    """
    name = f"{step}-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    try:
        for part in (_WORK, _ARTIFACTS, TRIED):
            os.makedirs(os.path.join(folder, part), exist_ok=True)
        work = os.path.join(folder, _WORK, name)
        os.mkdir(work)
    except OSError as error:
        raise StepError(
            "`shared_folder` of the profile must be a folder in a mount that this step "
            f"may write to: {error.strerror}. Received: {folder!r}"
        ) from error
    found = SharedArtifacts(folder, work, uris)
    ended = threading.Event()
    thread = threading.Thread(target=found.keep_in_use, args=(ended,), daemon=True)
    thread.start()
    try:
        found.remove_unused()
        yield found
    finally:
        ended.set()
        thread.join()
        shutil.rmtree(work, ignore_errors=True)


class SharedArtifacts:
    """The artifacts of one step in the shared folder; see `shared_artifacts`.

    Attributes:
        folder: The shared folder.
        work: The step's own folder in it.
    """

    def __init__(self, folder: str, work: str, uris: UriMap) -> None:
        self.folder = folder
        self.work = work
        self._uris = uris
        self._inputs: dict[str, str] = {}
        self._outputs: dict[str, str] = {}

    def share_inputs(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `inputs` of an ExecutorInput with paths in the shared folder."""
        for _, artifact in executor_input.each_artifact(part):
            local = artifact["uri"]
            if "://" not in local and local not in self._inputs:
                self._inputs[local] = self._share(local)
        return _mapped(part, self._inputs)

    def share_outputs(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `outputs` of an ExecutorInput with paths in the shared folder."""
        for _, artifact in executor_input.each_artifact(part):
            local = artifact["uri"]
            if "://" not in local:
                self._outputs[local] = self._place_in(self.work, local)
        shared = _mapped(part, self._outputs)
        executor_input.make_folders(shared)
        return shared

    def collect(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Copy the outputs to where the launcher takes them, and keep them here, too.

        Args:
            result: ExecutorOutput with paths in the shared folder.

        Returns:
            The same with the launcher's paths.
        """
        for local, shared in self._outputs.items():
            if not os.path.exists(shared):
                continue
            _copy(shared, local)
            if os.path.isdir(shared):
                # The features of the artifact stay pinned by the path that stays.
                copy_reference(shared, local)
                reference = os.path.join(local, STORE_FILE)
                if os.path.exists(reference):
                    copying.copy_file(reference, os.path.join(shared, STORE_FILE))
            self._keep(local, replace=True)
        places = {**self._inputs, **self._outputs}
        back = {shared: local for local, shared in places.items()}
        return _mapped(result, back)

    def keep_in_use(self, ended: threading.Event) -> None:
        """Mark what the step uses, so that no other step removes it, until the end."""
        while not ended.wait(_TOUCH_SECONDS):
            for path in (self.work, *map(os.path.dirname, self._inputs.values())):
                _touch(path)

    def remove_unused(self) -> None:
        """Remove what no step has used for long, such as the work of killed ones."""
        _touch(self.work)
        # By the clock of the file system, which wrote the other times.
        now = os.stat(self.work).st_mtime
        for part, seconds in _UNUSED_SECONDS.items():
            folder = os.path.join(self.folder, part)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                # Two steps may find the same: only one can rename it.
                with contextlib.suppress(OSError):
                    if now - os.stat(path).st_mtime > seconds:
                        os.rename(path, os.path.join(self.work, uuid.uuid4().hex))

    def _share(self, local: str) -> str:
        """Return the path of an input in the shared folder, where it is whole."""
        kept = self._place_in(os.path.join(self.folder, _ARTIFACTS), local)
        _touch(os.path.dirname(kept))
        sizes = _sizes(local)
        if _sizes(kept) != sizes:
            _copy(local, self._place_in(self.work, local))
            # Another step may have copied the same in the meantime, and use it now.
            self._keep(local, replace=_sizes(kept) != sizes)
        return kept

    def _keep(self, local: str, *, replace: bool) -> None:
        """Move a whole artifact from the step's work to where others find it."""
        done = os.path.dirname(self._place_in(self.work, local))
        kept = os.path.join(self.folder, _ARTIFACTS, os.path.basename(done))
        if replace:
            # What an earlier attempt of the step left.
            with contextlib.suppress(FileNotFoundError):
                os.rename(kept, os.path.join(self.work, uuid.uuid4().hex))
        _touch(done)
        try:
            os.rename(done, kept)
        except OSError as error:
            # A folder with files is not replaced: another step was faster.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise

    def _place_in(self, folder: str, local: str) -> str:
        name = hashing.hash_json(self._uris.to_remote(local))[:32]
        return os.path.join(folder, name, os.path.basename(local))


def _mapped(part: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """Return a part of a message with other paths in its artifacts."""

    def change(text: str) -> str:
        for old, new in places.items():
            if text == old or text.startswith(f"{old}/"):
                return new + text[len(old) :]
        return text

    artifacts = executor_input.map_texts(part.get("artifacts", {}), change)
    return {**part, "artifacts": artifacts}


def _copy(source: str, target: str) -> None:
    """Copy a file, or all files of a folder, in place of what is there.

    Raises:
        StepError: It can't be copied; for instance, the disk is full.
    """
    try:
        _copy_files(source, target)
    except OSError as error:
        raise StepError(
            f"An artifact can't be copied from {source!r} to {target!r}, between the "
            f"step's disk and `shared_folder` of the profile: {error.strerror}"
        ) from error


def _copy_files(source: str, target: str) -> None:
    if os.path.isfile(source):
        copying.copy_file(source, target)
        return
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    found = files.files_below(source)
    targets = [os.path.join(target, os.path.relpath(path, source)) for path in found]
    with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
        list(pool.map(copying.copy_file, found, targets))


def _sizes(path: str) -> dict[str, int] | None:
    """Return the size of each file below a path; None if there is nothing."""
    if os.path.isfile(path):
        return {"": os.path.getsize(path)}
    if not os.path.isdir(path):
        return None
    return {
        os.path.relpath(found, path): os.path.getsize(found)
        for found in files.files_below(path)
    }


def _touch(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)
