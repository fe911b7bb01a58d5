"""`graft run` names the node that failed, the error and the log."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from graft.contract.errors import UserError
from graft.pipeline.cli import app
from graft.pipeline.commands import run as run_command
from graft.pipeline.commands.fix_options import tell_of_lost_fixes, with_decisions
from graft.pipeline.commands.run import _failure, _new_log, tell_of_other_data
from graft.pipeline.config import load_config
from graft.pipeline.local.last_run import last_run_of, remember_run
from graft.pipeline.local.run_names import data_key

LOG = Path("run.log")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad shape\nmore"), "Trainer failed: ValueError: bad shape\n"),
        (AssertionError(), "Trainer failed: AssertionError:\n"),
        (OSError(errno.ENOSPC, "full"), "Trainer failed. No space is left on the disk"),
    ],
)
def test_failed_node_is_named_with_its_error_and_log(error, message):
    text = str(_failure(error, "Trainer", LOG))
    assert text.startswith(message)
    assert "run.log" in text


def test_failure_outside_of_a_node_is_the_runs():
    assert str(_failure(KeyError("x"), None, LOG)).startswith(
        "The run failed: KeyError"
    )


def test_two_runs_of_one_second_have_a_log_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda form: "20261130-010203")
    names = [_new_log(tmp_path / "logs").name for _ in range(3)]
    assert names == [f"20261130-010203{end}.log" for end in ("", "-2", "-3")]


def test_files_of_the_command_line_follow_those_of_the_config() -> None:
    config = load_config(None, data="photos", overrides=["data.label_fixes=a.csv"])
    fixed = config.with_label_fixes(["b.csv", "c.csv"])
    assert fixed.data.label_fixes == ("a.csv", "b.csv", "c.csv")
    assert config.with_absolute_paths().data.label_fixes == (os.path.abspath("a.csv"),)


@pytest.mark.parametrize(
    ("data", "fixes", "told"),
    [
        ("photos", (), "To keep them: --labels a.csv --labels 'b c.csv'"),
        ("photos", ("./a.csv",), "To keep them: --labels 'b c.csv'"),
        ("photos", ("b c.csv", "a.csv", "d.csv"), ""),
        ("others", (), ""),
    ],
)
def test_label_fixes_are_not_lost_in_silence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    data: str,
    fixes: tuple[str, ...],
    told: str,
) -> None:
    remember_run(
        str(tmp_path),
        model="m",
        data=data_key("photos"),
        label_fixes=["a.csv", "b c.csv"],
    )
    config = load_config(None, data=data).with_label_fixes(fixes)
    returned = tell_of_lost_fixes(tmp_path, config.data)
    error = capsys.readouterr().err
    assert told in error
    assert returned in error
    assert bool(returned) == bool(told)
    assert bool(error) == bool(told)


def test_other_data_under_the_same_name_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for before in ("", "/data/pets"):
        tell_of_other_data(before, "pets", "/data/pets")
    assert not capsys.readouterr().err
    tell_of_other_data("/data/pets", "pets", "/data/pets2")
    assert "`pets` read '/data/pets', this one reads '/data/pets2'" in " ".join(
        capsys.readouterr().err.split()
    )


def test_files_without_decisions_are_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, label in (("b.csv", "dog"), ("a.csv", "cat"), ("open.csv", "")):
        (tmp_path / name).write_text(f"path,new_label\n{name}.png,{label}\n")
    names = [str(tmp_path / name) for name in ("b.csv", "open.csv", "a.csv")]
    config = load_config(None, data="photos").with_label_fixes(names)
    fixes = with_decisions(config).data.label_fixes
    assert fixes == (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    told = capsys.readouterr().err
    assert "open.csv' changes nothing: none of its 1 row has a decision" in told


@pytest.mark.parametrize("ends", [True, False])
def test_only_a_run_that_ends_has_applied_its_fixes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ends: bool,
) -> None:
    photos = tmp_path / "photos"
    for name in ("cat", "dog"):
        (photos / name).mkdir(parents=True)
        Image.new("RGB", (9, 9), "red").save(photos / name / "000.png")
    fixes = tmp_path / "fixes.csv"
    fixes.write_text("path,new_label\ncat/000.png,dog\n")

    def run_nothing(*_: object, **__: object) -> str:
        if not ends:
            raise UserError("it failed")
        return ""

    monkeypatch.setattr(run_command, "_run", run_nothing)
    words = ["run", str(photos), "--output", str(tmp_path / "out")]
    for labels in (["--labels", str(fixes)], []):
        result = CliRunner().invoke(app, [*words, *labels])
        assert (result.exception is None) == ends, result.exception
    told = "The last run applied label fixes" in result.stderr
    assert told == ends


def test_a_refusal_is_remembered_until_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9), "red").save(tmp_path / "photos" / name / "000.png")
    folder = tmp_path / "out" / "pipelines" / "photos"
    words = [str(tmp_path / "photos"), "--output", str(tmp_path / "out")]
    words += ["--set", "gate.min_accuracy=0.5"]
    for refusal in ("it is bad", ""):
        monkeypatch.setattr(run_command, "_run", lambda *_, why=refusal, **__: why)
        status = CliRunner().invoke(app, ["run", *words]).exit_code
        assert status == (3 if refusal else 0)
        assert last_run_of(folder).refusal == refusal
        assert list(last_run_of(folder).words) == words
