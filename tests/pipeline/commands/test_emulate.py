"""`graft emulate` refuses mistakes before it runs a step."""

from __future__ import annotations

import yaml

from graft.pipeline.commands.emulate import emulate


def test_emulate_refuses(error_of, tmp_path):
    assert "can't be read" in error_of(emulate, str(tmp_path / "none.yaml"))
    assert "`--mount` takes" in error_of(emulate, "x.yaml", "--mount", "data")
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump({"schemaVersion": "2.0.0"}))
    folder = ("--folder", str(tmp_path / "cluster"))
    assert "must be 2.1.0" in error_of(emulate, str(bad), *folder)
