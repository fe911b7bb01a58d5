"""Artifacts on their way between a step's disk and what the workers see."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.pipeline.kubeflow.container import shared_folder
from graft.pipeline.kubeflow.container.executor_input import StepError, UriMap
from graft.pipeline.kubeflow.container.shared_folder import shared_artifacts
from graft.storage.content_store.references import read_reference, refer

RUN = "minio/mlpipeline/sample/run-1"


class Pod:
    """The disk of a step's pod; all pods mount the same folder."""

    def __init__(self, disk: Path, folder: Path) -> None:
        self.disk = disk
        self.folder = folder
        self.uris = UriMap(str(disk))

    def path(self, place: str) -> Path:
        return self.disk / RUN / place

    def part(self, *places: str, **metadata: str) -> dict[str, Any]:
        return {
            "artifacts": {
                Path(place).name: {
                    "artifacts": [{"uri": str(self.path(place)), "metadata": metadata}]
                }
                for place in places
            }
        }

    def open(self) -> Any:
        return shared_artifacts(str(self.folder), "Step", self.uris)


@pytest.fixture
def pods(tmp_path: Path) -> Callable[[str], Pod]:
    return lambda name: Pod(tmp_path / name, tmp_path / "mnt" / "shared")


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def uri_of(part: dict[str, Any], key: str) -> Path:
    return Path(part["artifacts"][key]["artifacts"][0]["uri"])


def run_producer(pod: Pod, files: dict[str, bytes]) -> None:
    with pod.open() as shared:
        outputs = shared.share_outputs(pod.part("Gen/1/examples"))
        write(uri_of(outputs, "examples"), files)
        shared.collect({"artifacts": outputs["artifacts"]})


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(NAMES.map(lambda name: f"{name}.x"), st.binary(max_size=9)))
def test_files_of_any_form_come_and_go(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("root")
    pod = Pod(root / "pod", root / "shared")
    write(pod.path("Gen/1/examples"), files)
    pod.path("Gen/1/examples").mkdir(parents=True, exist_ok=True)
    with pod.open() as shared:
        inputs = shared.share_inputs(pod.part("Gen/1/examples"))
        outputs = shared.share_outputs(pod.part("Step/2/model"))
        assert uri_of(inputs, "examples").is_relative_to(pod.folder)
        assert uri_of(outputs, "model").is_relative_to(pod.folder)
        found = read(uri_of(inputs, "examples"))
        write(uri_of(outputs, "model"), found)
        shared.collect({"artifacts": outputs["artifacts"]})
    assert found == files
    assert read(pod.path("Step/2/model")) == files


def test_paths_in_metadata_follow_and_come_back(pods: Callable[[str], Pod]) -> None:
    pod = pods("pod")
    write(pod.path("Trainer/1/model"), {"weights": b"w"})
    write(pod.path("Trainer/1/model_run"), {"history": b"h"})
    inner = str(pod.path("Trainer/1/model") / "inner")
    part = pod.part("Trainer/1/model", "Trainer/1/model_run", current_model=inner)
    with pod.open() as shared:
        inputs = shared.share_inputs(part)
        (artifact,) = inputs["artifacts"]["model_run"]["artifacts"]
        model = uri_of(inputs, "model")
        assert artifact["metadata"]["current_model"] == str(model / "inner")
        assert read(uri_of(inputs, "model_run")) == {"history": b"h"}
        outputs = shared.share_outputs(pod.part("Step/2/page", current_model="none"))
        page = uri_of(outputs, "page") / "page.html"
        page.write_text("<p>")
        answer = shared.collect(
            {
                "artifacts": {
                    "page": {
                        "artifacts": [
                            {"uri": str(page), "metadata": {"of": artifact["metadata"]}}
                        ]
                    }
                }
            }
        )
    (found,) = answer["artifacts"]["page"]["artifacts"]
    assert found["uri"] == str(pod.path("Step/2/page/page.html"))
    assert found["metadata"] == {"of": {"current_model": inner}}


def test_output_is_not_copied_again_for_the_steps_that_read_it(
    pods: Callable[[str], Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_producer(pods("first"), {"Split-train/a": b"12", "Split-test/b": b"3"})
    second = pods("second")
    # The launcher downloads it there.
    write(second.path("Gen/1/examples"), read(pods("first").path("Gen/1/examples")))
    monkeypatch.setattr(shared_folder, "_copy", lambda *_: pytest.fail("copied"))
    with second.open() as shared:
        inputs = shared.share_inputs(second.part("Gen/1/examples"))
        files = read(uri_of(inputs, "examples"))
    assert files == {"Split-train/a": b"12", "Split-test/b": b"3"}


def test_what_differs_from_the_download_is_replaced(pods: Callable[[str], Pod]) -> None:
    """A copy that lacks a file, or is that of another attempt."""
    run_producer(pods("first"), {"a": b"12", "b": b"3"})
    second = pods("second")
    write(second.path("Gen/1/examples"), {"a": b"123"})
    with second.open() as shared:
        inputs = shared.share_inputs(second.part("Gen/1/examples"))
        assert read(uri_of(inputs, "examples")) == {"a": b"123"}


def test_second_attempt_replaces_the_first(pods: Callable[[str], Pod]) -> None:
    run_producer(pods("first"), {"a": b"12"})
    run_producer(pods("second"), {"a": b"45"})
    assert read(pods("second").path("Gen/1/examples")) == {"a": b"45"}
    third = pods("third")
    write(third.path("Gen/1/examples"), {"a": b"45"})
    with third.open() as shared:
        inputs = shared.share_inputs(third.part("Gen/1/examples"))
        assert read(uri_of(inputs, "examples")) == {"a": b"45"}


def test_two_steps_that_copy_the_same_share_it(
    pods: Callable[[str], Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one must not take from the faster what that reads by now."""
    fast, slow = pods("fast"), pods("slow")
    for pod in (fast, slow):
        write(pod.path("Gen/1/examples"), {"a": b"12"})
    copy = shared_folder._copy
    with fast.open() as first, slow.open() as second:
        used: list[int] = []

        def copy_slowly(source: str, target: str) -> None:
            monkeypatch.setattr(shared_folder, "_copy", copy)
            inputs = first.share_inputs(fast.part("Gen/1/examples"))
            used.append(uri_of(inputs, "examples").stat().st_ino)
            copy(source, target)

        monkeypatch.setattr(shared_folder, "_copy", copy_slowly)
        found = second.share_inputs(slow.part("Gen/1/examples"))
        assert uri_of(found, "examples").stat().st_ino == used[0]


def test_nothing_of_a_failed_step_is_left_or_used(pods: Callable[[str], Pod]) -> None:
    pod = pods("pod")
    with pytest.raises(ZeroDivisionError), pod.open() as shared:
        outputs = shared.share_outputs(pod.part("Step/2/model"))
        write(uri_of(outputs, "model"), {"half": b"x"})
        raise ZeroDivisionError
    assert not read(pod.folder)
    assert not list((pod.folder / "work").iterdir())
    assert not pod.path("Step/2/model").exists()


KILLED = """
import os, signal, sys
from graft.pipeline.kubeflow.container.executor_input import UriMap
from graft.pipeline.kubeflow.container.shared_folder import shared_artifacts
with shared_artifacts(sys.argv[1], "Killed", UriMap(sys.argv[2])) as shared:
    with open(os.path.join(shared.work, "left"), "w") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_work_of_a_killed_step_goes_when_it_is_old(pods: Callable[[str], Pod]) -> None:
    pod = pods("pod")
    words = [sys.executable, "-c", KILLED, str(pod.folder), str(pod.disk)]
    assert subprocess.run(words, check=False).returncode == -9
    (left,) = (pod.folder / "work").iterdir()
    with pod.open():
        assert (left / "left").exists()  # its pod may live
    old = time.time() - 3700
    os.utime(left, (old, old))
    with pod.open():
        assert not left.exists()
    assert not list((pod.folder / "work").iterdir())


def test_artifacts_go_when_no_step_used_them_for_a_day(
    pods: Callable[[str], Pod],
) -> None:
    run_producer(pods("first"), {"a": b"12"})
    (kept,) = (pods("first").folder / "artifacts").iterdir()
    hours = 3600
    for age, is_there in ((23 * hours, True), (25 * hours, False)):
        old = time.time() - age
        os.utime(kept, (old, old))
        with pods("second").open():
            assert kept.exists() == is_there


def test_what_a_step_uses_does_not_get_old(
    pods: Callable[[str], Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_folder, "_TOUCH_SECONDS", 0.01)
    pod = pods("pod")
    write(pod.path("Gen/1/examples"), {"a": b"12"})
    with pod.open() as shared:
        inputs = shared.share_inputs(pod.part("Gen/1/examples"))
        used = [Path(shared.work), uri_of(inputs, "examples").parent]
        for path in used:
            os.utime(path, (1, 1))
        deadline = time.monotonic() + 20
        while any(path.stat().st_mtime < 2 for path in used):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_features_stay_pinned_by_the_path_of_the_launcher(
    pods: Callable[[str], Pod], tmp_path: Path
) -> None:
    """As they are without a shared folder: the shared path goes some day."""
    store = tmp_path / "mnt" / "features"
    pod = pods("pod")
    with pod.open() as shared:
        outputs = shared.share_outputs(pod.part("Features/1/features"))
        refer(str(uri_of(outputs, "features")), str(store), ["namespace/file"])
        shared.collect({"artifacts": outputs["artifacts"]})
    local = pod.path("Features/1/features")
    reference = read_reference(str(local))
    assert reference is not None
    assert reference.files == ("namespace/file",)
    assert {Path(each) for each in reference.folders} == {store}
    pins = [path.read_text() for path in (store / "namespace" / "pins").iterdir()]
    assert any(f'"{local}"' in text for text in pins)
    # The next step compares it with what the launcher downloaded.
    (kept,) = (pod.folder / "artifacts").iterdir()
    assert read(kept / "features") == read(local)


@pytest.mark.parametrize("is_file", [True, False])
def test_folder_that_can_not_be_written(
    pods: Callable[[str], Pod], is_file: bool
) -> None:
    pod = pods("pod")
    pod.folder.parent.mkdir()
    if is_file:
        pod.folder.write_text("")
    else:
        pod.folder.symlink_to("/proc/graft")
    with pytest.raises(StepError, match="`shared_folder` of the profile"), pod.open():
        pass
