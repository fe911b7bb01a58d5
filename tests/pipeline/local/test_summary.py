"""The last screen of a run has a line for each thing that its owner should know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from graft.components.ingestion.artifacts import SUMMARY_FILE
from graft.pipeline.config import PipelineConfig, load_config
from graft.pipeline.local.data_notes import (
    read_classes,
    read_data_notes,
    read_data_problems,
)
from graft.pipeline.local.run_result import RunResult, _served_instead
from graft.pipeline.local.summary import print_summary

LARGEST = {"name": "ok", "share": 0.92}
WARNINGS = [
    "4 images can't be used and are quarantined, such as 'a\\nb.jpg': no image.",
    "Left aside: 2 files directly in 'x'.",
]


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    (tmp_path / "out" / "pipelines" / "graft").mkdir(parents=True)
    return load_config(None, data=str(tmp_path), output=str(tmp_path / "out"))


@pytest.fixture
def screen(config: PipelineConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Return the lines of the last screen: `screen(accuracy=0.5)`."""

    def show(**changes: Any) -> list[str]:
        values: dict[str, Any] = {
            "accuracy": 0.92,
            "balanced_accuracy": 0.5,
            "largest_class": LARGEST,
            "num_test_images": 25,
            "is_blessed": False,
            "reasons": ("why",),
            "notes": (),
            "passed": (),
            "classes": "",
            "data_notes": (),
            "data_problems": "",
            "is_unchanged": False,
            "pushed_path": None,
            "was_published": False,
            "served_instead": None,
            "not_pushed_reason": None,
            "is_refused": True,
            "is_served": True,
            "report_path": "report.html",
            "sample_path": None,
        }
        result = RunResult(**(values | changes))
        print_summary(config, result, seconds=1.0, log_path=tmp_path / "log")
        return capsys.readouterr().out.splitlines()

    return show


def test_accuracy_stands_beside_what_guessing_scores(screen) -> None:
    assert screen()[0] == (
        "Test accuracy  0.9200 on 25 images; balanced over the classes 0.5000; "
        "always answering 'ok' 0.9200"
    )
    old = screen(balanced_accuracy=None, largest_class=None)
    assert old[0] == "Test accuracy  0.9200 on 25 images"


def test_a_folder_that_is_no_class_is_seen_as_one(screen, tmp_path: Path) -> None:
    counts = {"train": {"cat": 40, "to sort": 9}, "test": {"cat": 2, "to sort": 3}}
    (tmp_path / SUMMARY_FILE).write_text(json.dumps({"counts": counts}))
    classes = read_classes(str(tmp_path))
    assert classes == "2: 'cat' 42, 'to sort' 12"
    assert screen(classes=classes)[1] == f"Classes        {classes}"


def test_of_many_classes_the_largest_and_the_smallest_are_named(tmp_path: Path) -> None:
    counts = {"train": {f"c{number:02}": 100 + number for number in range(50)}}
    (tmp_path / SUMMARY_FILE).write_text(json.dumps({"counts": counts}))
    classes = read_classes(str(tmp_path))
    assert classes.startswith("50: 'c49' 149, 'c48' 148, ")
    assert classes.endswith(", …, 'c02' 102, 'c01' 101, 'c00' 100")


def test_classes_that_are_unknown_have_no_line(screen, tmp_path: Path) -> None:
    assert read_classes(None) == read_classes(str(tmp_path / "removed")) == ""
    assert not [line for line in screen() if line.startswith("Classes")]


def test_on_a_terminal_sentences_are_wrapped_and_commands_are_not(
    screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    note = "The split eval has fewer than 5 images of 'digit 7' (3)."
    lines = screen(data_notes=(note,), report_path="graft_output/" + "x" * 80)
    begin = lines.index("Data           note: The split eval has fewer than 5 images")
    assert lines[begin + 1] == "               of 'digit 7' (3)."
    assert lines[begin + 2].endswith(" shows more")
    (report,) = [line for line in lines if line.startswith("Report")]
    assert report.endswith("x" * 80)
    (publish,) = [line for line in lines if line.startswith("Or publish it")]
    assert "--output" in publish


def test_every_note_has_a_line_and_a_command_shows_more(screen, config) -> None:
    lines = screen(data_notes=(*WARNINGS, "Doubtful labels: 3, such as 'c.jpg'."))
    first = lines.index(f"Data           note: {WARNINGS[0]}")
    assert lines[first + 1].strip() == f"note: {WARNINGS[1]}"
    assert lines[first + 2].strip() == "note: Doubtful labels: 3, such as 'c.jpg'."
    command = f"graft report --open --section data --output {config.output} shows more"
    assert lines[first + 3].endswith(command)
    assert "--pipeline" not in lines[first + 3]


def test_problems_of_the_data_are_one_line_that_leads_to_them(screen) -> None:
    lines = screen(data_problems="1 quarantined, 16 doubtful labels")
    row = "Data           1 quarantined, 16 doubtful labels: report.html#data"
    assert row in lines
    assert not any("report --open" in line for line in lines)
    assert lines.index(row) + 1 == next(
        i for i, line in enumerate(lines) if line.startswith("Pushed to")
    )


def test_a_rerun_says_that_nothing_changed(screen) -> None:
    pushed = {"is_blessed": True, "is_refused": False, "pushed_path": "store/7"}
    notes = {"notes": ("no model in production yet",), "passed": ("why",)}
    lines = screen(**pushed, **notes, is_unchanged=True)
    assert "Unchanged      nothing changed; store/7 is still served" in lines
    assert not [
        line for line in lines if "no model in" in line or line.startswith("Pushed to")
    ]
    assert any("no model in" in line for line in screen(**pushed, **notes))


def test_a_model_that_is_there_is_not_called_pushed(screen) -> None:
    pushed = {"is_blessed": True, "is_refused": False, "pushed_path": "store/7"}
    row = "Not pushed     store/7 holds this very model already"
    assert row in screen(**pushed, was_published=True)
    assert "Pushed to      store/7" in screen(**pushed)


def test_a_rerun_does_not_call_served_what_is_not(screen) -> None:
    lines = screen(
        is_blessed=True, pushed_path="store/7", served_instead="8", is_unchanged=True
    )
    assert "Served now     8" in lines
    assert not [line for line in lines if "still served" in line]


def test_a_refused_model_is_refused_again_in_a_rerun(screen, config) -> None:
    for is_unchanged in (False, True):
        lines = screen(is_unchanged=is_unchanged)
        assert "Gate           refused: why" in lines
        (publish,) = [each for each in lines if each.startswith("Or publish it")]
        assert f"bless --force --reason WHY --output {config.output}" in publish


def test_of_several_pipelines_the_command_names_this_one(screen, config) -> None:
    (Path(config.output) / "pipelines" / "other").mkdir()
    (line,) = [each for each in screen(data_notes=("n",)) if "report --open" in each]
    assert "--pipeline graft" in line


def test_good_data_have_no_line(screen) -> None:
    assert not [
        line for line in screen() if line.startswith("Data") or "report --open" in line
    ]


def test_a_note_is_one_line_without_control_characters(screen) -> None:
    path = "/long/path" * 30
    note = f"1 file lies in '{path}\x1b[2J\n': it has no label and is left aside."
    (line,) = [each for each in screen(data_notes=(note,)) if each.startswith("Data")]
    assert len(line) <= 230
    assert "note: 1 file lies in '/long/path" in line
    assert line.endswith("it has no label and is left aside.")
    assert "\\x1b[2J\\n" in line
    assert "\x1b" not in "".join(screen(data_notes=(note,), report_path="a\x1b[2J"))


def write_quality(folder: Path, **values: Any) -> str:
    checks = [
        {"name": "leaks", "title": "Near-copies in different splits"},
        {"name": "label_errors", "title": "Doubtful labels"},
    ]
    for check, names in zip(checks, ([], ["a\x1b.jpg", "b.jpg"]), strict=True):
        check |= {"num_findings": len(names), "filenames": names}
    checks[0]["not_searched"] = {"images that look too much alike": 1200}
    folder.mkdir()
    (folder / "quality.json").write_text(json.dumps({"checks": checks} | values))
    return str(folder)


def write_anomaly(folder: Path, split: str, **info: Any) -> str:
    found = anomalies_pb2.Anomalies()
    if info:
        anomaly = anomalies_pb2.AnomalyInfo(**info)
        found.anomaly_info["image/class/text"].CopyFrom(anomaly)
    (folder / f"Split-{split}").mkdir(parents=True)
    path = folder / f"Split-{split}" / "SchemaDiff.pb"
    path.write_bytes(found.SerializeToString())
    return str(folder)


def test_notes_come_from_the_artifacts_of_the_run(tmp_path: Path) -> None:
    quarantine = tmp_path / "quarantine"
    quarantine.mkdir()
    (quarantine / "summary.json").write_text(json.dumps({"warnings": WARNINGS}))
    quality = write_quality(tmp_path / "quality", dropped=["h1", "h2"])
    write_anomaly(tmp_path / "anomalies", "train")
    anomalies = write_anomaly(
        tmp_path / "anomalies",
        "eval",
        short_description="Unexpected string values",
        description="Values that the schema lacks: emu (1%).",
    )
    assert read_data_problems(str(quarantine), quality) == "2 doubtful labels"
    assert read_data_notes(str(quarantine), quality, anomalies) == [
        *WARNINGS,
        "Unlike the schema: 1, such as eval: image/class/text: Unexpected string "
        "values. Values that the schema lacks: emu (1%).",
        "Near-copies in different splits: not searched: 1,200 images that look too "
        "much alike.",
        "Left out of train, as `data_quality` asks: 2 images.",
    ]


def test_artifacts_that_are_not_there_have_no_notes(tmp_path: Path) -> None:
    assert read_data_notes(None, None, None) == []
    assert read_data_problems(None, None) == ""
    gone = str(tmp_path / "gone")
    assert read_data_notes(str(tmp_path), str(tmp_path), gone) == []


def test_what_is_not_served_is_not_called_pushed(screen) -> None:
    pushed = {"is_blessed": True, "pushed_path": "store/7"}
    assert "Pushed to      store/7" in screen(**pushed)
    lines = screen(**pushed, served_instead="version 8, not version 7 of this run")
    assert "Served now     version 8, not version 7 of this run" in lines
    assert not any(line.startswith("Pushed to") for line in lines)


def test_a_version_that_is_gone_is_not_to_be_asked(screen, tmp_path: Path) -> None:
    pushed = tmp_path / "serving" / "graft" / "7"
    said = _served_instead(str(pushed))
    assert said is not None
    assert "version 7 of this run is gone. `graft bless` publishes it again" in said
    lines = screen(pushed_path=str(pushed), served_instead=said, is_served=False)
    assert f"Served now     {said}" in lines
    assert not any(line.startswith("Ask it") for line in lines)
    lines = screen(pushed_path=str(pushed))
    assert any(line.startswith("Ask it") for line in lines)
