"""`graft presets` lists every backbone fast, and measures speed on request."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graft.pipeline.commands.presets import presets
from graft.trainer.backbones.presets import PRESETS


def test_every_preset_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    presets()
    lines = capsys.readouterr().out.splitlines()
    for name in PRESETS:
        assert sum(name in line for line in lines) == 1
    assert any("efficientnet_lite0" in line and "here" in line for line in lines)


def test_speed_is_measured_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    presets(measure=["efficientnet_lite0"])
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "efficientnet_lite0" in line)
    assert int(row.split()[-1]) > 0


def test_listing_imports_no_tensorflow() -> None:
    code = (
        "import sys; from graft.pipeline.commands.presets import presets; presets();"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
