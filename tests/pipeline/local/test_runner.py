"""`graft run` when another model comes into production between gate and push."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graft.components.publishing import audit
from graft.components.publishing.production import served_version

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


@pytest.fixture(scope="module")
def output(run_graft, small, digit_folder, tmp_path_factory) -> Path:
    """The output of a first run, which has pushed its model."""
    folder = tmp_path_factory.mktemp("run") / "output"
    done = run_graft("run", "--data", digit_folder, "--output", folder, *small)
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
        timeout=280,
    )


@pytest.mark.large
def test_the_gate_is_asked_again_and_then_the_run_gives_up(
    output: Path, small: tuple[str, ...], digit_folder: Path, tmp_path: Path
) -> None:
    """Large: four whole runs, one after the other."""
    store = str(output / "serving" / "graft")
    run = ["run", "--data", str(digit_folder), "--output", str(output), *small]
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
    # The same command again compares with what is served now, and pushes.
    done = run_beside_others(output, *third, times=0, scratch=tmp_path / "3")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = audit.read_audit(store)
    assert lines[-1]["judged_against"]["version"] == lines[-2]["version"]
