"""docs/data.md shows what a user sees whose folders have several meanings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graft.pipeline import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_the_question_is_what_the_terminal_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("animals/cat", "animals/dog", "things/cup"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(3):
            image = tmp_path / "photos" / folder / f"{number}.jpg"
            image.write_text(f"{folder} {number}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["graft", "run", "--data", "photos"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    (shown,) = re.findall(r"^```\n(graft: .*?)^```", PAGE.read_text(), re.M | re.DOTALL)
    assert capsys.readouterr().err == shown
