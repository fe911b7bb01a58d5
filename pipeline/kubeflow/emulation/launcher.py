"""EMULATED: one attempt of one container, in a fresh process with an empty disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graft.pipeline.kubeflow.container.entrypoint import PREFIX_VARIABLE
from graft.pipeline.kubeflow.emulation.driver import LOGS
from graft.pipeline.kubeflow.emulation.store import SCHEMES, LauncherError, ObjectStore
from graft.serving import child_process

_PLACEHOLDER = re.compile(
    r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']+)'\](\.[a-z_]+)?\}\}"
)
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Attempt:
    """The result of one attempt.

    Attributes:
        exit_code: Exit status of the container; None if its deadline stopped it.
        log_uri: URI of the attempt's log.
        artifacts: Output key to RuntimeArtifact; empty after a failure.
        parameters: Output parameters by key; empty after a failure.
        downloaded: Bytes that were downloaded before the container ran.
        uploaded: Bytes that were uploaded after it.
    """

    exit_code: int | None
    log_uri: str
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    downloaded: int = 0
    uploaded: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the container succeeded."""
        return self.exit_code == 0


def run_attempt(
    container: Mapping[str, Any],
    executor_input: Mapping[str, Any],
    store: ObjectStore,
    log_path: Path,
    *,
    run_root: str,
    number: int = 1,
    deadline_seconds: float | None = None,
    on_process: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Attempt:
    """Download the inputs, run the container, and upload the outputs.

    The keyword arguments are what differs between attempts of one container.

    Args:
        container: PipelineContainerSpec.
        executor_input: ExecutorInput from the driver, with remote URIs. Its output file
            is replaced by one on the container's disk.
        store: The buckets.
        log_path: File to which the container's output is appended.
        run_root: URI under which this run may write.
        number: Number of the attempt, from 1; each attempt has a log of its own.
        deadline_seconds: Time limit of the attempt.
        on_process: Called with the running process; a test may kill it.

    Raises:
        LauncherError: The real launcher would fail, though the container succeeded.
    """
    disk = Path(tempfile.mkdtemp(prefix="graft-emulated-"))
    try:
        message = json.loads(json.dumps(executor_input))
        (log,) = message["outputs"]["artifacts"][LOGS]["artifacts"]
        task_root = _local_path(disk, log["uri"]).parent
        log["uri"] += f"-{number - 1}"
        output_file = task_root / "output_metadata.json"
        message["outputs"]["outputFile"] = str(output_file)
        downloaded = sum(
            store.download(artifact["uri"], _local_path(disk, artifact["uri"]))
            for _, artifact in _artifacts(message["inputs"])
        )
        for _, artifact in _artifacts(message["outputs"]):
            _local_path(disk, artifact["uri"]).parent.mkdir(parents=True, exist_ok=True)
        exit_code = _run(
            container, message, disk, log_path, deadline_seconds, on_process
        )
        if exit_code != 0:
            return Attempt(exit_code, log["uri"], downloaded=downloaded)
        result = _read_result(output_file)
        artifacts = _output_artifacts(message, result, run_root)
        uploaded = sum(
            store.upload(_local_path(disk, artifact["uri"]), artifact["uri"])
            for artifact in artifacts.values()
        )
        values = result.get("parameterValues", {})
        return Attempt(0, log["uri"], artifacts, values, downloaded, uploaded)
    finally:
        shutil.rmtree(disk, ignore_errors=True)


def _output_artifacts(
    message: Mapping[str, Any], result: Mapping[str, Any], run_root: str
) -> dict[str, dict[str, Any]]:
    """Return the output artifacts with the URI and metadata of the result file."""
    artifacts = {}
    for key, artifact in _artifacts(message["outputs"]):
        if key == LOGS:
            continue
        merged = {**artifact, "metadata": dict(artifact.get("metadata", {}))}
        for answer in result.get("artifacts", {}).get(key, {}).get("artifacts", ()):
            merged["uri"] = answer.get("uri", merged["uri"])
            merged["metadata"] |= answer.get("metadata", {})
        if not merged["uri"].startswith(run_root):
            raise LauncherError(f"{merged['uri']!r} is outside of {run_root!r}")
        artifacts[key] = merged
    return artifacts


def _run(  # noqa: PLR0917 - one place calls it
    container: Mapping[str, Any],
    message: dict[str, Any],
    disk: Path,
    log_path: Path,
    deadline_seconds: float | None,
    on_process: Callable[[subprocess.Popen[bytes]], None] | None,
) -> int | None:
    words = [*container.get("command", ()), *container.get("args", ())]
    command = [_fill(word, message) for word in words]
    if command[0] == "python":
        command[0] = sys.executable
    temporary = disk / "tmp"
    temporary.mkdir()
    environment = {
        name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ
    }
    environment |= {item["name"]: item["value"] for item in container.get("env", ())}
    environment |= {
        PREFIX_VARIABLE: str(disk),
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
    }
    with log_path.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the compiled file's command
            child_process.command(command),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=temporary,
        )
        try:
            if on_process is not None:
                on_process(process)
            return process.wait(timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _fill(word: str, message: Mapping[str, Any]) -> str:
    """Fill the launcher's placeholders in one argument of the command."""
    filled = word.replace("{{$}}", json.dumps(message))

    def value_of(match: re.Match[str]) -> str:
        part, kind, key, attribute = match.groups()
        if kind == "parameters":
            value = message[part]["parameterValues"][key]
            return value if isinstance(value, str) else json.dumps(value)
        if attribute != ".uri":
            raise LauncherError(f"{match[0]!r} is not a placeholder of the launcher")
        return str(message[part]["artifacts"][key]["artifacts"][0]["uri"])

    return _PLACEHOLDER.sub(value_of, filled)


def _read_result(path: Path) -> dict[str, Any]:
    """Read the result file as strictly as the launcher does."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    try:
        json_format.Parse(text, pipeline_spec_pb2.ExecutorOutput())
    except json_format.ParseError as error:
        raise LauncherError(f"the result file is malformed: {error}") from error
    result: dict[str, Any] = json.loads(text)
    return result


def _artifacts(part: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (key, artifact)
        for key, entry in part.get("artifacts", {}).items()
        for artifact in entry["artifacts"]
    ]


def _local_path(disk: Path, uri: str) -> Path:
    scheme, _, rest = uri.partition("://")
    if scheme not in SCHEMES:
        raise LauncherError(f"no store for {uri!r}")
    return disk / SCHEMES[scheme] / rest
