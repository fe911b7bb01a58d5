"""The commands of the tutorial, in its order, on handwritten digits."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.M)
ANSWER, *LATER = [block.splitlines() for block in BLOCKS]
CLONE, SETUP, ACTIVATE, *_ = ANSWER
DECIDED_AFTER = "graft report --labels fixes.csv"
REFUSED = "--set model.image_size=32"


def test_an_answer_takes_five_commands() -> None:
    assert len(ANSWER) <= 5
    assert CLONE == "git clone REPOSITORY graft && cd graft"
    assert (SETUP, ACTIVATE) == ("make setup", "source .venv/bin/activate")
    assert ANSWER[-1].startswith("graft predict ")
    assert [DECIDED_AFTER] in LATER


def _decide(path: Path) -> None:
    """Write decisions into a file of label fixes, as a person does."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        is_moved = "moved" in row["path"]
        row["action"] = "accept" if is_moved else "keep"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_its_commands_do_what_the_page_says(tmp_path: Path, write_photos) -> None:
    """Large: three runs of the pipeline."""
    write_photos(tmp_path)
    zero = tmp_path / "my_photos" / "digit 0" / "001.png"
    zero.rename(tmp_path / "my_photos" / "digit 1" / "moved.png")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shown = {}
    for command in [*ANSWER[3:], *(line for block in LATER for line in block)]:
        done = subprocess.run(
            ["bash", "-c", f"{ACTIVATE}\n{command}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        status = 3 if REFUSED in command else 0
        assert done.returncode == status, done.stdout + done.stderr
        shown[command] = done.stdout + done.stderr
        if command == DECIDED_AFTER:
            _decide(tmp_path / "fixes.csv")
    runs = [text for name, text in shown.items() if "graft run" in name]
    first, second, third = runs
    labels = ("Test accuracy", "Gate", "Data", "Pushed to", "Or publish it")
    for label in labels:
        assert re.search(f"^{label}", PAGE, re.M)
        assert any(re.search(f"^{label}", text, re.M) for text in runs)
    assert "Data           1 doubtful label" in first
    assert re.search("Label fixes of 'fixes.csv': 1 relabelled, .* confirmed", second)
    assert "nowhere: the gate refused the model" in third
    assert "new_photos/a.png  digit 0" in shown["graft predict new_photos --top 2"]
