"""Missing and damaged packages, versions and weights are found."""

import dataclasses

import pytest

from graft.pipeline.diagnostics import installation
from graft.pipeline.environment import lock
from graft.trainer.backbones.presets import PRESETS


def test_version_other_than_locked(monkeypatch):
    locked = {"numpy": "0.0.1", "no-such-package": "1.0"}
    monkeypatch.setattr(lock, "pinned_versions", lambda path, python: locked)
    finding = installation.check_locked_versions()
    assert finding.state == "missing"
    assert "no-such-package absent (locked: 1.0)" in finding.found
    assert "(locked: 0.0.1)" in finding.found


def test_absent_package(monkeypatch):
    monkeypatch.setattr(installation, "MODULES", ("json", "no_such_module_anywhere"))
    finding = installation.check_modules()
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
    assert installation.check_weights(preset).state == "fine"
    finding = installation.check_weights(dataclasses.replace(preset, **changes))
    assert finding.state == "missing"
    assert text in finding.found
