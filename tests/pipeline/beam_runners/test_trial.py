"""The first job finds what would fail later. Here it runs on Beam's own runner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graft.pipeline.beam_runners import trial
from graft.pipeline.beam_runners.flink_checks import RunnerError
from graft.pipeline.beam_runners.trial import TryWorker, try_runner

ARGUMENTS = ["--direct_running_mode=in_memory"]


def run(
    folder: Path,
    seconds: float = 120,
    said: list[str] | None = None,
    others: dict[str, str] | None = None,
) -> None:
    try_runner(
        ARGUMENTS,
        {"`output`": str(folder), **(others or {})},
        parallelism=2,
        timeout_seconds=seconds,
        say=(said if said is not None else []).append,
        why_late=lambda: "No worker came.",
    )


def test_good_runner_passes_and_nothing_is_left(tmp_path: Path) -> None:
    run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_worker_without_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(TryWorker):
        def __init__(self, work: str, *others: Any) -> None:
            super().__init__(f"{work}-elsewhere", *others)

    monkeypatch.setattr(trial, "TryWorker", Elsewhere)
    with pytest.raises(RunnerError, match=r"`output` must be a folder .*No such file"):
        run(tmp_path)


def test_worker_without_the_images_or_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not exist yet is judged by the folder above it."""

    class Elsewhere(TryWorker):
        def __init__(self, work: str, token: str, read: dict[str, str]) -> None:
            assert read == {"`data.path`": str(tmp_path), "`cache`": str(tmp_path)}
            super().__init__(work, token, {**read, "`cache`": f"{tmp_path}/absent"})

    monkeypatch.setattr(trial, "TryWorker", Elsewhere)
    others = {
        "`data.path`": str(tmp_path),
        "`cache`": f"{tmp_path}/new/store",
        # Nothing of a file system.
        "`bucket`": "gs://bucket/store",
        "`built-in`": "sklearn:digits",
    }
    with pytest.raises(RunnerError, match=r"`cache` must be a path .*new/store'"):
        run(tmp_path, others=others)
    assert list(tmp_path.iterdir()) == []


def test_worker_with_another_folder_at_the_same_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(TryWorker):
        def __init__(self, work: str, token: str, read: Any) -> None:
            super().__init__(work, "another", read)

    monkeypatch.setattr(trial, "TryWorker", Other)
    with pytest.raises(RunnerError, match="another folder has the same path"):
        run(tmp_path)


def test_file_of_a_worker_must_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graft.storage.atomic.write_text", _only_tokens)
    with pytest.raises(RunnerError, match="its file did not arrive here"):
        run(tmp_path)


def _only_tokens(path: str, text: str) -> None:
    if path.endswith("token"):
        Path(path).write_text(text)


def test_worker_with_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Newer(TryWorker):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._code = {**self._code, "Beam": "1.0"}

    monkeypatch.setattr(trial, "TryWorker", Newer)
    with pytest.raises(RunnerError, match=r"other code: Beam there .*, here '1\.0'"):
        run(tmp_path)


def test_job_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(TryWorker):
        def process(self, number: int) -> Iterator[None]:
            raise ModuleNotFoundError("graft")

    monkeypatch.setattr(trial, "TryWorker", Failing)
    with pytest.raises(RunnerError, match=r"tries the runner failed: .*graft"):
        run(tmp_path)


def test_worker_that_never_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = threading.Event()
    monkeypatch.setattr(trial._Trial, "_run", lambda self: end.wait())
    monkeypatch.setattr(trial, "_TALK_SECONDS", 0.05)
    said: list[str] = []
    try:
        with pytest.raises(RunnerError, match=r"not ended after .* No worker came"):
            run(tmp_path, 0.2, said)
    finally:
        end.set()
    assert said
    assert list(tmp_path.iterdir()) == []
