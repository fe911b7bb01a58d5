"""The model that a command takes if the user names none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graft.contract.errors import UserError
from graft.pipeline.cli import app
from graft.pipeline.commands.options import (
    choose_model_folder,
    find_model_folder,
    model_of_server,
)
from graft.pipeline.config import METADATA_FILE
from graft.pipeline.local.last_run import remember_run


def _push(output: Path, name: str, version: int) -> Path:
    folder = output / "serving" / name / str(version)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder.parent


def _run(output: Path, name: str, refusal: str = "") -> None:
    folder = output / "pipelines" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METADATA_FILE).touch()
    remember_run(str(folder), model=name, data=name, refusal=refusal)


def test_the_only_model_is_taken_without_a_word(tmp_path, capsys):
    base = _push(tmp_path, "pets", 1)
    _run(tmp_path, "pets")
    assert choose_model_folder(tmp_path / "serving", None) == base
    assert find_model_folder(tmp_path / "serving", None) == base
    assert capsys.readouterr().err == ""


def test_among_several_it_is_that_of_the_last_run_and_is_said(tmp_path, capsys):
    _push(tmp_path, "pets", 9)
    base = _push(tmp_path, "xmas", 1)
    _run(tmp_path, "pets")
    _run(tmp_path, "xmas")
    assert choose_model_folder(tmp_path / "serving", None) == base
    told = capsys.readouterr().err
    assert "model `xmas`, that of the last run. Others: pets" in told
    assert choose_model_folder(tmp_path / "serving", "pets").name == "pets"
    assert model_of_server(tmp_path / "serving") == "xmas"


def test_a_last_run_without_a_model_is_never_silently_another_one(tmp_path, capsys):
    base = _push(tmp_path, "pets", 9)
    _run(tmp_path, "pets")
    _run(tmp_path, "refused")
    assert choose_model_folder(tmp_path / "serving", None) == base
    told = capsys.readouterr().err
    assert "model `pets`; the last run, `refused`, has pushed no model" in told
    _push(tmp_path, "xmas", 10)
    with pytest.raises(UserError, match="must be one of pets, xmas: the last run"):
        choose_model_folder(tmp_path / "serving", None)


def test_without_a_model_the_refused_run_is_named_with_its_reason(tmp_path):
    _run(tmp_path, "pets", "accuracy 0.4 is below the floor of 0.5")
    store = tmp_path / "serving"
    said = [
        "No model has been pushed to",
        "the last run, `pets`, was refused: accuracy 0.4 is below the floor of 0.5.",
        f"`graft report --open --output {tmp_path}`",
        f"`graft bless --force --reason WHY --output {tmp_path}`",
    ]
    for words in (["predict", __file__], ["models"], ["serve"]):
        done = CliRunner().invoke(app, [*words, "--model-dir", str(store)])
        assert isinstance(done.exception, UserError), done.exception
        for text in said:
            assert text in str(done.exception)
    _run(tmp_path, "xmas", "it is bad")
    with pytest.raises(UserError, match=r"`xmas`, was refused: .*--pipeline xmas"):
        choose_model_folder(store, None)
    with pytest.raises(UserError, match="`graft run` trains one"):
        choose_model_folder(store, "pets")
    _push(tmp_path, "pets", 1)
    assert choose_model_folder(store, None).name == "pets"


def test_an_earlier_model_never_stands_in_silently_for_a_refused_one(tmp_path, capsys):
    base = _push(tmp_path, "pets", 7)
    _run(tmp_path, "pets", "it is bad")
    assert choose_model_folder(tmp_path / "serving", None) == base
    told = capsys.readouterr().err
    assert "the last run, `pets`, was refused; version 7 is of an earlier run" in told
    # `graft bless` published the refused model since.
    _push(tmp_path, "pets", int(time.time()) + 1)
    assert choose_model_folder(tmp_path / "serving", None) == base
    assert capsys.readouterr().err == ""


def test_a_run_without_a_refusal_has_no_reason(tmp_path):
    _run(tmp_path, "pets")
    with pytest.raises(UserError, match="`pets`, has pushed no model yet"):
        choose_model_folder(tmp_path / "serving", None)


def test_a_store_of_its_own_has_no_last_run(tmp_path, capsys):
    _push(tmp_path, "pets", 9)
    base = _push(tmp_path, "xmas", 10)
    assert choose_model_folder(tmp_path / "serving", None) == base
    assert "model `xmas`, the one pushed last" in capsys.readouterr().err
    assert choose_model_folder(base, None) == base


def test_a_change_must_name_one_of_several(tmp_path):
    _push(tmp_path, "pets", 1)
    _push(tmp_path, "xmas", 2)
    _run(tmp_path, "xmas")
    with pytest.raises(UserError, match=r"several models .*: pets, xmas"):
        find_model_folder(tmp_path / "serving", None)
    with pytest.raises(UserError, match="no model 'zoo'"):
        find_model_folder(tmp_path / "serving", "zoo")


def test_a_store_without_sound_versions_can_be_mended(tmp_path):
    (tmp_path / "serving" / "pets" / "7").mkdir(parents=True)
    assert find_model_folder(tmp_path / "serving", None).name == "pets"
    assert find_model_folder(tmp_path / "serving", "pets").name == "pets"


def test_without_a_model_here_a_server_is_asked_for_graft(tmp_path):
    assert model_of_server(tmp_path) == "graft"


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (("predict", "x.jpg", "--output", "json"), "--format"),
        (("compile", "--output", "p.yaml"), "--to"),
        (
            ("schedule", "create", "n", "--pipeline=p", "--cron=x", "--output", "m"),
            "--to",
        ),
    ],
    ids=["predict", "compile", "schedule"],
)
def test_output_means_a_folder_of_runs_and_nothing_else(words, new):
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UserError)
    assert f"Use `{new}` here" in str(done.exception)
    help_text = CliRunner().invoke(app, [*words[:1], "--help"]).output
    assert "--output " not in help_text


def test_commands_and_options_are_completed(monkeypatch):
    monkeypatch.setenv("COMP_WORDS", "graft predict --mo")
    monkeypatch.setenv("COMP_CWORD", "2")
    environment = {"_GRAFT_COMPLETE": "complete_bash"}
    done = CliRunner().invoke(app, [], env=environment, prog_name="graft")
    assert done.output.split() == ["--model", "--model-dir"]
    monkeypatch.setenv("COMP_WORDS", "graft mo")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = CliRunner().invoke(app, [], env=environment, prog_name="graft")
    assert done.output.split() == ["models"]
