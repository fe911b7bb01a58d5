"""`graft run` when another model comes into production between gate and push."""

from __future__ import annotations

import contextlib
import gc
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graft.components.publishing import audit
from graft.components.publishing import store as store_folder
from graft.components.publishing.production import read_production, served_version
from graft.pipeline.local import runner

# `graft run` as it is, and somebody who pushes while it works: a copy of the model with
# another file in it, right after the gate has judged, so many times.
SCRIPT = """
import shutil, sys
from pathlib import Path
from graft.components.publishing import store
from graft.components.publishing.production import read_production, served_version
from graft.pipeline import cli
from graft.pipeline.local.progress_display import ProgressDisplay

folder, scratch, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
on_event = ProgressDisplay.on_event
pushes = []

def push_after_the_gate(self, event):
    on_event(self, event)
    if event.node != "Evaluator" or event.state != "finished" or len(pushes) == times:
        return
    model = scratch / f"model {len(pushes)}"
    served = served_version(folder)
    names = [*served.manifest["files"]]
    for name in names:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(served.path) / name, model / name)
    (model / "note.txt").write_text(str(served.number))
    seen = read_production(folder)
    pushes.append(store.publish(str(model), folder, {}, against=seen, keep_versions=9))

ProgressDisplay.on_event = push_after_the_gate
sys.argv = ["graft", *sys.argv[4:]]
cli.main()
"""

# `graft run` that waits behind the gate until the other run is there, too.
MEETING = """
import sys, time
from pathlib import Path
from graft.pipeline import cli
from graft.pipeline.local.progress_display import ProgressDisplay

mine, other = Path(sys.argv[1]), Path(sys.argv[2])
on_event = ProgressDisplay.on_event

def meet_behind_the_gate(self, event):
    on_event(self, event)
    if event.node == "Evaluator" and event.state == "finished":
        mine.touch()
        deadline = time.monotonic() + 600
        while not other.exists() and time.monotonic() < deadline:
            time.sleep(0.05)

ProgressDisplay.on_event = meet_behind_the_gate
sys.argv = ["graft", *sys.argv[3:]]
cli.main()
"""


NAME = ("--set", "name=graft")


@pytest.fixture(scope="module")
def output(run_graft, small, digit_folder, tmp_path_factory) -> Path:
    """The output of a first run, which has pushed its model."""
    folder = tmp_path_factory.mktemp("run") / "output"
    done = run_graft(
        *("run", "--data", digit_folder, "--output", folder, *small, *NAME),
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run_beside_others(
    output: Path, *arguments: str, times: int, scratch: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-c", SCRIPT),
            *(str(output / "serving" / "graft"), str(scratch), str(times)),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_the_gate_is_asked_again_and_then_the_run_gives_up(
    run_graft: Any,
    output: Path,
    small: tuple[str, ...],
    digit_folder: Path,
    tmp_path: Path,
) -> None:
    """Large: five whole runs, one after the other."""
    store = str(output / "serving" / "graft")
    run = ["run", "--data", str(digit_folder), "--output", str(output), *small, *NAME]
    other = [*run, "--set", "training.epochs=7"]
    done = run_beside_others(output, *other, times=1, scratch=tmp_path / "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        r"Nothing was pushed: the model was judged against version \d+, but version "
        r"\d+ is served now \(publish by [^)]+\)\. .* The gate is asked again now\.",
        done.stderr,
    )
    first, meanwhile, pushed = audit.read_audit(store)
    assert meanwhile["judged_against"]["version"] == first["version"]
    assert pushed["judged_against"]["version"] == meanwhile["version"]
    served = served_version(store)
    assert served is not None
    assert served.number == pushed["version"]
    assert f"Pushed to      {served.path}" in done.stdout
    # The training came from the cache.
    assert done.stderr.count("✓ Trainer ") == 2
    third = [*run, "--set", "training.epochs=8", "--set", "push.retry_gate=0"]
    shutil.rmtree(tmp_path / "1")
    done = run_beside_others(output, *third, times=9, scratch=tmp_path / "2")
    assert done.returncode == 4, done.stdout + done.stderr
    assert re.search(
        r"^graft: Nothing was pushed: the model was judged against version \d+, but "
        r"version \d+ is served now \(publish by .*$",
        done.stderr,
        re.MULTILINE,
    )
    assert "Pushed to" not in done.stdout
    assert len(audit.read_audit(store)) == 4
    # The first attempt of the second run has lost, and the only one of the third.
    listed = run_graft("runs", "--output", output, environment={"COLUMNS": "120"})
    states = re.findall(r"(complete|failed) .*", listed.stdout)
    assert states == ["complete", "failed", "complete", "failed"], listed.stdout
    assert listed.stdout.count("passed production changed") == 2, listed.stdout
    # The same command again compares with what is served now, and pushes.
    done = run_beside_others(output, *third, times=0, scratch=tmp_path / "3")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = audit.read_audit(store)
    assert lines[-1]["judged_against"]["version"] == lines[-2]["version"]
    # A model that was rolled back is refused, although the gate blesses it.
    store_folder.roll_back(store, None, "too slow", seen=read_production(store))
    done = run_beside_others(output, *third, times=0, scratch=tmp_path / "4")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "This very model was rolled back: 'too slow'" in done.stdout


@pytest.mark.large
@pytest.mark.timeout(1200)
def test_of_two_runs_on_an_empty_store_one_is_judged_against_the_other(
    small: tuple[str, ...], digit_folder: Path, tmp_path: Path
) -> None:
    """Large: two whole runs at once, both blessed against an empty store."""
    store = tmp_path / "store"
    names = ("gives up", "asks again")
    runs = {}
    for name, other, retries in zip(names, reversed(names), (0, 1), strict=True):
        runs[name] = subprocess.Popen(
            [
                *(sys.executable, "-c", MEETING, tmp_path / name, tmp_path / other),
                *("run", "--data", digit_folder, "--output", tmp_path / f"out {name}"),
                *(*small, "--set", f"push.destination={store}"),
                *("--set", f"push.retry_gate={retries}"),
                *("--set", f"training.epochs={5 + retries}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    told = {name: run.communicate()[0] for name, run in runs.items()}
    statuses = {name: run.returncode for name, run in runs.items()}
    assert statuses["gives up"] in {0, 4}, told
    assert statuses["asks again"] in {0, 3}, told
    lines = audit.read_audit(str(store / "graft"))
    first, *others = lines
    assert first["judged_against"]["version"] is None
    served = served_version(str(store / "graft"))
    assert served is not None
    assert served.number == lines[-1]["version"]
    if statuses["gives up"] == 4:
        # The other run was first, and was asked once.
        assert others == []
        assert "judged against no model" in told["gives up"]
        assert f"Pushed to      {served.path}" in told["asks again"]
    else:
        assert "The gate is asked again now." in told["asks again"]
        against = [line["judged_against"]["version"] for line in others]
        is_pushed = statuses["asks again"] == 0
        assert against == ([first["version"]] if is_pushed else [])


@pytest.mark.parametrize("fails", [False, True])
def test_all_objects_are_collected_after_nodes_alone(fails: bool) -> None:
    before = gc.get_threshold()
    with (
        pytest.raises(ValueError) if fails else contextlib.nullcontext(),
        runner._all_objects_rarely_collected(),
    ):
        counts = [each["collections"] for each in gc.get_stats()]
        keep = [[] for _ in range(200_000)]
        younger, all_objects = (
            after["collections"] - count
            for after, count in zip(gc.get_stats()[1:], counts[1:], strict=True)
        )
        assert younger > 20, len(keep)
        assert all_objects == 0
        if fails:
            raise ValueError
    assert gc.get_threshold() == before
