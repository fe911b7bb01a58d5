"""A GPU that can't be used and too little memory are noted."""

import pytest

from graft.pipeline.diagnostics import machine


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
    find_spec = machine.importlib.util.find_spec
    monkeypatch.setattr(
        machine.importlib.util,
        "find_spec",
        lambda name: None if name == "nvidia" else find_spec(name),
    )
    finding = machine.check_gpu()
    assert finding.state == state
    assert text in finding.found


def test_no_gpu_is_fine(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.check_gpu().state == "fine"


def test_little_memory_is_noted(monkeypatch):
    monkeypatch.setattr(machine, "MEMORY_GIB", 1e6)
    finding = machine.check_memory()
    assert finding.state == "note"
    assert "GiB" in finding.remedy
