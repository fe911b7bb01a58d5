"""The whole pipeline as a user runs it, from a folder of images to a served model."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from graft.components.ingestion.fixes.fix_rows import COLUMNS

RANDOM_LABELS_SEED = 3
BAD_IMAGE = "digit 0/not an image.jpg"
BAD_IMAGE_NOTE = "note: 1 image can't be used and is quarantined"


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """A folder with characters that a library might misread."""
    return tmp_path_factory.mktemp("run") / "-out (v1] {a,b} 100%25 #1 'q' \"é日@;&$!~"


@pytest.fixture(scope="module")
def data(digit_folder, tmp_path_factory) -> Path:
    """A copy of the images and a bad one, with more such characters."""
    name = "-my [photos] * ? {a,b} 100%25 #1 'q' \"é\\日@;&$!"
    copy = shutil.copytree(digit_folder, tmp_path_factory.mktemp("data") / name)
    (Path(copy) / BAD_IMAGE).write_text("words")
    return Path(copy)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory) -> Path:
    """The folder for temporary files of the first run."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def first_run(run_graft, data, output, small, temporary):
    done = run_graft(
        *("run", "--data", data, "--output", output, *small),
        environment={"TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def _versions(output: Path) -> list[Path]:
    return sorted((output / "serving").glob("*/[0-9]*"))


def _answers(model: Path, images: list[Path]) -> np.ndarray:
    import tensorflow as tf

    signature = tf.saved_model.load(str(model)).signatures["predict_images"]
    return signature(images=tf.constant([path.read_bytes() for path in images]))[
        "probabilities"
    ].numpy()


def _states(output: Path) -> dict[str, list[str]]:
    """Node id to the states of its executions, oldest first."""
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as mlmd
    from tfx.orchestration import metadata

    (path,) = output.glob("pipelines/*/metadata.sqlite")
    store = MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))
    states: dict[str, list[str]] = {}
    for context in store.get_contexts_by_type("node"):
        executions = store.get_executions_by_context(context.id)
        states[context.name.partition(".")[2]] = [
            mlmd.Execution.State.Name(execution.last_known_state)
            for execution in sorted(executions, key=lambda execution: execution.id)
        ]
    return states


def test_the_last_screen_says_what_a_user_wants_to_know(first_run, output):
    accuracy = float(re.search(r"Test accuracy +([\d.]+)", first_run.stdout).group(1))
    assert 0.8 <= accuracy <= 1
    assert re.search(r"Gate +passed", first_run.stdout)
    assert str(_versions(output)[0]) in first_run.stdout
    log = re.search(r"Log +(.*\.log)", first_run.stdout).group(1)
    assert "node Trainer is finished" in Path(log).read_text(encoding="utf-8")


def test_no_temporary_file_is_left(first_run, temporary):
    assert list(temporary.iterdir()) == []


def test_the_last_screens_command_answers(first_run):
    """Run the printed command in the run's folder, without an activated environment."""
    command = re.search(r"Ask it +(.*)", first_run.stdout).group(1)
    assert " predict " in command
    done = subprocess.run(
        shlex.split(command), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "digit" in done.stdout


def test_the_page_says_what_computed_the_features(first_run):
    path = re.search(r"Report +(.*\.html)", first_run.stdout).group(1)
    page = Path(path).read_text(encoding="utf-8")
    counts = r"Features of (\d+) images came from the store, and of (\d+) were"
    # 180 digits in three splits.
    assert sum(map(int, re.search(counts, page).groups())) == 180
    assert re.search(r"computed by <code>(openvino|tensorflow)-float32</code>", page)


def test_the_logs_of_tfx_and_tensorflow_stay_off_the_terminal(first_run):
    assert "absl" not in first_run.stderr
    assert "WARNING" not in first_run.stderr


def test_the_pushed_model_is_whole_and_its_manifest_says_so(first_run, output):
    (version,) = _versions(output)
    manifest = json.loads((version / "graft_manifest.json").read_text())
    files = {
        str(path.relative_to(version)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in version.rglob("*")
        if path.is_file() and path.name != "graft_manifest.json"
    }
    assert "saved_model.pb" in files
    assert manifest["files"] == files
    assert manifest["training"]["solver"] == "lbfgs"
    assert manifest["training"]["penalty"] > 0


def test_the_pushed_model_answers_right(first_run, run_graft, data, output):
    images = [data / "digit 0" / "007.png", data / "digit 4" / "011.png"]
    done = run_graft(
        "predict", *images, "--model-dir", output / "serving", "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.index("digit 0") < text.index("digit 4"), text


def test_nothing_changed_is_answered_from_the_cache(
    first_run, run_graft, data, output, small
):
    before = _versions(output)
    done = run_graft("run", "--data", data, "--output", output, *small)
    assert done.returncode == 0, done.stderr
    assert _versions(output) == before
    states = _states(output)
    for node in ("ImageExampleGen", "Transform", "BottleneckFeatures", "Trainer"):
        assert states[node] == ["COMPLETE", "CACHED"], (node, states)
    accuracy = re.compile(r"Test accuracy +([\d.]+)")
    assert accuracy.search(done.stdout).group(1) == accuracy.search(
        first_run.stdout
    ).group(1)
    assert BAD_IMAGE_NOTE in done.stdout
    assert (
        f"Unchanged      nothing changed; {before[-1]} is still served" in done.stdout
    )
    assert "Pushed to" not in done.stdout
    assert "no model in production" in first_run.stdout
    assert "no model in production" not in done.stdout
    unchanged = re.findall(r"· (\w+) +unchanged", done.stderr)
    assert {"ImageExampleGen", "Trainer", "Evaluator", "Pusher"} <= {*unchanged}
    assert "unchanged" not in first_run.stderr


def test_a_bad_image_is_set_aside_and_told(first_run, output):
    (folder,) = output.glob("pipelines/*/artifacts/ImageExampleGen")
    (table,) = folder.glob("quarantine/*/quarantine.jsonl")
    (line,) = table.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["filename"] == BAD_IMAGE
    assert BAD_IMAGE_NOTE in first_run.stdout


def test_the_gate_refuses_a_model_and_nothing_is_pushed(
    first_run, run_graft, data, output, small
):
    before = _versions(output)
    done = run_graft(
        *("run", "--data", data, "--output", output, *small),
        *("--set", "gate.max_size_mb=1"),
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert re.search(r"refused: size of .* exceeds the limit", done.stdout), done.stdout
    assert _versions(output) == before
    assert _states(output)["Trainer"][-1] == "CACHED"


@pytest.mark.large
def test_a_new_image_is_noticed(first_run, run_graft, data, output, small):
    """A whole second run. Large: the next test shows the same by a failed one."""
    new = data / "digit 0" / "mirrored.png"
    with Image.open(data / "digit 0" / "000.png") as image:
        ImageOps.mirror(image).save(new)
    try:
        done = run_graft(
            *("run", "--data", data, "--output", output, *small),
            *("--set", "training.seed=1"),
        )
    finally:
        new.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert _states(output)["ImageExampleGen"][-1] == "COMPLETE"


@pytest.mark.large
def test_corrected_labels_come_back_and_only_the_head_is_trained_again(
    first_run, run_graft, data, output, small, tmp_path
):
    """A whole second run. Large: single steps are tested with their modules."""
    sheet = tmp_path / "fixes.csv"
    done = run_graft("report", "--output", output, "--labels", sheet)
    assert done.returncode == 0, done.stdout + done.stderr
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    one = {"path": "digit 0/000.png", "label": "digit 0", "new_label": "digit 1"}
    rows.append(dict.fromkeys(rows[0] if rows else COLUMNS, "") | one)
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    done = run_graft(
        *("run", "--data", data, "--output", output, *small),
        *("--labels", sheet, "--set", "gate.comparison.enabled=false"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Label fixes of 'fixes.csv': 1 relabelled" in done.stdout
    log = Path(re.search(r"Log +(.*\.log)", done.stdout).group(1)).read_text()
    assert "Features of 180 images came from the store, 0 were computed" in log
    manifest = json.loads((_versions(output)[-1] / "graft_manifest.json").read_text())
    fixes = manifest["label_fixes"]
    assert fixes["changes"] == [{"before": "digit 0", "after": "digit 1", "count": 1}]
    assert fixes["files"][0]["sha256"] == hashlib.sha256(sheet.read_bytes()).hexdigest()


def test_too_many_bad_images_stop_the_next_run_and_are_named(
    first_run, run_graft, data, output, small
):
    before = _versions(output)
    bad = [data / "digit 1" / f"bad{index}.png" for index in range(20)]
    for path in bad:
        path.write_bytes(b"")
    done = run_graft("run", "--data", data, "--output", output, *small)
    for path in bad:
        path.unlink()
    assert done.returncode == 1
    assert _states(output)["ImageExampleGen"][-1] == "FAILED"
    assert "bad0.png" in done.stderr or "bad1" in done.stderr
    assert "max_bad_fraction" in done.stderr
    assert "Traceback" not in done.stderr
    assert _versions(output) == before


@pytest.mark.large
def test_the_gate_refuses_a_model_that_learned_nothing(
    run_graft, digit_folder, tmp_path, small
):
    """Labels at random: no honest model reaches the floor. Large: a whole run."""
    rng = np.random.default_rng(RANDOM_LABELS_SEED)
    images = sorted(digit_folder.rglob("*.png"))
    for name, group in zip(
        "ab", np.array_split(rng.permutation(len(images)), 2), strict=True
    ):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in group:
            shutil.copy(images[index], tmp_path / "data" / name / f"{index}.png")
    done = run_graft(
        "run", "--data", tmp_path / "data", "--output", tmp_path / "out", *small
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "refused" in done.stdout
    assert "0.8" in done.stdout
    assert not _versions(tmp_path / "out")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "must name an existing folder"),
        (lambda folder: folder.mkdir(), "empty|no images"),
    ],
    ids=["missing", "empty"],
)
def test_data_that_are_not_there_get_a_message(run_graft, tmp_path, make, message):
    folder = tmp_path / "photos"
    make(folder)
    done = run_graft("run", "--data", folder, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert re.search(message, done.stderr), done.stderr
    assert str(folder) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_named(run_graft, data, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = run_graft("run", "--data", data, "--output", locked)
    assert done.returncode == 1
    assert str(locked) in done.stderr


def test_an_output_folder_that_is_a_file_is_named(run_graft, data, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    done = run_graft("run", "--data", data, "--output", file)
    assert done.returncode == 1
    assert "can't be written to" in done.stderr
    assert "Traceback" not in done.stderr


def _finish_after_kill(kill_graft_at, run_graft, node, data, output, small) -> Path:
    command = ("run", "--data", data, "--output", output, *small)
    kill_graft_at(node, output, *command)
    assert not _versions(output) or node == "Report"
    assert _states_of_runs(run_graft, output) == ["interrupted"]
    done = run_graft(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _states_of_runs(run_graft, output) == ["interrupted", "complete"]
    (version,) = _versions(output)
    return version


def _states_of_runs(run_graft, output: Path) -> list[str]:
    done = run_graft("runs", "--output", output)
    return re.findall("running|interrupted|complete|failed", done.stdout)


def test_a_killed_run_completes_and_gives_the_same_model(
    first_run, kill_graft_at, run_graft, digit_folder, output, tmp_path, small
):
    version = _finish_after_kill(
        kill_graft_at, run_graft, "BottleneckFeatures", digit_folder, tmp_path, small
    )
    images = sorted(digit_folder.rglob("*.png"))[:30]
    first = json.loads((_versions(output)[0] / "graft_manifest.json").read_text())
    assert first["files"]
    np.testing.assert_allclose(
        _answers(version, images), _answers(_versions(output)[0], images), atol=1e-5
    )


@pytest.mark.large
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "node",
    [
        "ImageExampleGen",
        "StatisticsGen",
        "Transform",
        "DataQuality",
        "Trainer",
        "Evaluator",
        "Canary",
        "Pusher",
        "Report",
    ],
)
def test_a_kill_at_any_node_is_survived(
    first_run, kill_graft_at, run_graft, digit_folder, output, tmp_path, small, node
):
    """About two minutes a node."""
    version = _finish_after_kill(
        kill_graft_at, run_graft, node, digit_folder, tmp_path, small
    )
    images = sorted(digit_folder.rglob("*.png"))[:30]
    np.testing.assert_allclose(
        _answers(version, images), _answers(_versions(output)[0], images), atol=1e-5
    )
