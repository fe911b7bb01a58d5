"""The README's pictures: how they are made, and that they show its commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 300_000


def _text_of(svg: str) -> str:
    elements = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join(
        "".join(element.itertext()).replace("\N{NO-BREAK SPACE}", " ")
        for element in elements
    )


def test_the_terminal_holds_the_last_state_of_each_line(
    pictures: Any, tmp_path: Path
) -> None:
    script = tmp_path / "show"
    script.write_text(r"printf 'half \r\033[32mwhole\033[0m <&> \033[1mbold\033[0m'")
    terminal = pictures.Terminal()
    terminal.run("sh show", tmp_path)
    terminal.run("test -t 1 && pwd", tmp_path)
    svg = terminal.to_svg()
    assert "half" not in _text_of(svg)
    assert {"whole", "bold"} <= set(re.split(r"\s+", _text_of(svg)))
    assert "<&>" in terminal.text()
    assert terminal.text().replace("\n", "").endswith(str(tmp_path))
    # It is one file, which a page shows without a network.
    assert set(re.findall(r"https?://[^\"\s]+", svg)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }
    assert "@font-face" not in svg


def test_a_command_that_fails_is_not_recorded(pictures: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)failed:.*no such thing"):
        pictures.Terminal().run("echo no such thing; exit 3", tmp_path)


def test_what_is_recorded_is_what_the_readme_says(pictures: Any) -> None:
    recorded = _text_of((PICTURES / "terminal.svg").read_text(encoding="utf-8"))
    for command in pictures.COMMANDS:
        assert re.search(rf"^{re.escape(command)}( |$)", README, re.M), command
        assert command in recorded
    for label in ("Test accuracy", "Gate", "Pushed to", "Report", "Ask it"):
        assert label in recorded


def test_pictures_are_light_and_shown() -> None:
    shown = set(re.findall(r"docs/pictures/([\w-]+\.\w+)", README))
    assert shown == {path.name for path in PICTURES.iterdir()}
    for path in PICTURES.iterdir():
        assert path.stat().st_size < MOST_BYTES, path.name
