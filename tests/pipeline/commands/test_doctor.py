"""`graft doctor` sees what is wrong, says what to do, and answers without TFX."""

import dataclasses
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from graft.pipeline.commands import doctor as module
from graft.pipeline.environment import host
from graft.trainer.backbones.presets import PRESETS


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(module.doctor)
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
    monkeypatch.setattr(module, "DISK_GIB", 1e9)
    result = run()
    assert result.exit_code == 0
    assert "Free some" in result.output


def test_compiler_is_not_needed_any_more(run, monkeypatch):
    monkeypatch.setattr(host, "check_compiler", lambda: pytest.fail("looked"))
    assert run().exit_code == 0


def test_version_other_than_locked(monkeypatch):
    locked = {"numpy": "0.0.1", "no-such-package": "1.0"}
    monkeypatch.setattr(module.lock, "pinned_versions", lambda path, python: locked)
    finding = module._lock()
    assert finding.state == "missing"
    assert "no-such-package absent (locked: 1.0)" in finding.found
    assert "(locked: 0.0.1)" in finding.found


def test_absent_package(monkeypatch):
    monkeypatch.setattr(module, "MODULES", ("json", "no_such_module_anywhere"))
    finding = module._modules()
    assert (finding.state, finding.found) == (
        "missing",
        "absent: no_such_module_anywhere",
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weights_hash": "sha256:00"}, "is damaged"),
        ({"package": "no_such_module_anywhere"}, "is not installed"),
        ({"weights_file": "models/absent.pth"}, "is not installed"),
    ],
)
def test_weights(changes, text):
    preset = PRESETS["efficientnet_lite0"]
    assert module._weights(preset).state == "fine"
    finding = module._weights(dataclasses.replace(preset, **changes))
    assert finding.state == "missing"
    assert text in finding.found


@pytest.mark.parametrize(
    ("program", "state", "text"),
    [
        ("echo 'NVIDIA T4, 15360 MiB'", "note", "NVIDIA T4, 15360 MiB, unused"),
        ("echo 'driver mismatch' >&2; exit 9", "note", "driver mismatch"),
    ],
)
def test_gpu(monkeypatch, tmp_path, program, state, text):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    find_spec = module.importlib.util.find_spec
    monkeypatch.setattr(
        module.importlib.util,
        "find_spec",
        lambda name: None if name == "nvidia" else find_spec(name),
    )
    finding = module._gpu()
    assert finding.state == state
    assert text in finding.found


def test_no_gpu_is_fine(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._gpu().state == "fine"


def test_little_memory_is_noted(monkeypatch):
    monkeypatch.setattr(module, "MEMORY_GIB", 1e6)
    finding = module._memory()
    assert finding.state == "note"
    assert "GiB" in finding.remedy


def test_packages_that_setuptools_carries_are_not_the_environments(
    run, monkeypatch, tmp_path
):
    folder = tmp_path / "importlib_metadata-0.0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: importlib-metadata\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run().exit_code == 0
