"""`graft doctor` finds what is wrong, names the remedy, and does not import TFX."""

import shutil
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from graft.components.publishing import store
from graft.components.publishing.production import read_production
from graft.components.publishing.versions import list_versions
from graft.pipeline.commands.doctor import doctor
from graft.pipeline.diagnostics import machine
from graft.pipeline.environment import host


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(doctor)
    return lambda: CliRunner().invoke(app, [], env={"COLUMNS": "300"})


def test_sound_environment(run):
    result = run()
    assert result.exit_code == 0, result.output
    assert "Nothing that graft needs is missing." in result.output
    assert "MISSING" not in result.output


def test_answers_without_large_packages():
    program = (
        "import sys\nfrom graft.pipeline.commands.doctor import findings\n"
        "list(findings())\n"
        "sys.exit(str({'tensorflow', 'tfx', 'keras', 'openvino'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.stderr.strip() == "set()"


def test_old_libc_is_missing(run, monkeypatch):
    monkeypatch.setattr(host, "glibc_version", lambda: (2, 35))
    monkeypatch.setattr(host, "debian_release", lambda: ("ubuntu", "22.04"))
    result = run()
    assert result.exit_code == 1
    assert "1 missing" in result.output
    assert "debian:13" in result.output


def test_full_disk_is_noted(run, monkeypatch):
    monkeypatch.setattr(machine, "DISK_GIB", 1e9)
    result = run()
    assert result.exit_code == 0
    assert "Free some" in result.output


def test_compiler_is_not_needed_any_more(run, monkeypatch):
    monkeypatch.setattr(host, "check_compiler", lambda: pytest.fail("looked"))
    assert run().exit_code == 0


def test_packages_that_setuptools_carries_are_not_the_environments(
    run, monkeypatch, tmp_path
):
    folder = tmp_path / "importlib_metadata-0.0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: importlib-metadata\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run().exit_code == 0


def test_old_runs_are_told(run, tmp_path, monkeypatch):
    from graft.pipeline.local import retention

    monkeypatch.chdir(tmp_path)
    assert "old runs" not in run().output
    folder = tmp_path / "graft_output" / "pipelines" / "cats"
    folder.mkdir(parents=True)
    assert "No pipeline has run" in run().output
    (folder / "metadata.sqlite").touch()
    removal = retention.Removal((("a run", 1),) * 2, (), 3 << 20, 0)
    monkeypatch.setattr(retention, "remove_old_runs", lambda *_, **__: removal)
    result = run()
    assert result.exit_code == 0
    assert "2 runs in 'graft_output' could free 3.0 MiB" in result.output
    assert "graft gc" in result.output


def test_labels_of_a_version_that_is_gone_are_noted(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "graft_output" / "serving" / "flowers"
    for content in "ab":
        model = tmp_path / content
        model.mkdir()
        (model / "saved_model.pb").write_text(f"graph {content}")
        seen = read_production(str(folder))
        store.publish(str(model), str(folder), {}, against=seen, keep_versions=9)
    assert "labels of flowers" in run().output
    assert "--repair" not in run().output
    first, second = [version.number for version in list_versions(str(folder))]
    shutil.rmtree(folder / str(second))
    output = run().output
    assert f"names what is gone: version {second} (stable)" in output
    assert f"does not follow labels serves version {first} meanwhile" in output
    assert "graft models --model flowers --repair" in output
