"""The pages in a browser: nothing sticks out, no word is broken, all can be read.

A script in the page measures it, and the browser prints the page with its findings.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from graft.components.report.contents import ReportContents
from graft.components.report.label_sheet import DOUBTFUL, Row, Sheet, to_page
from graft.components.report.page import render_page

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)
LIGHT, DARK = 1, 0
MEASURE = Path(__file__).with_name("measure_page.js").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="needs a browser: apt-get install chromium-headless-shell"
)


def _problems(page: str, folder: Path, width: int, scheme: int) -> list[str]:
    """Open a page of a width and colour scheme; return what is wrong with it."""
    path = folder / "page.html"
    script = f"<script>{MEASURE}</script></body>"
    path.write_text(page.replace("</body>", script), encoding="utf-8")
    done = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={folder}/browser", f"--window-size={width},900"),
            f"--blink-settings=preferredColorScheme={scheme}",
            *("--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = re.search(r'<pre id="problems">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, "the script did not end"
    measured = json.loads(unescape(found[1]))
    assert measured["width"] == width
    assert measured["is_dark"] == (scheme == DARK)
    assert measured["num_texts"] > 20
    problems: list[str] = measured["problems"]
    return problems


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_the_report_can_be_read(
    make_contents: Callable[..., ReportContents],
    tmp_path: Path,
    width: int,
    scheme: int,
):
    page = render_page(make_contents(4))
    assert _problems(page, tmp_path, width, scheme) == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, DARK), (390, LIGHT)])
def test_a_report_on_a_thousand_classes_can_be_read(
    make_contents: Callable[..., ReportContents],
    tmp_path: Path,
    width: int,
    scheme: int,
):
    page = render_page(make_contents(1000))
    assert len(page) < 10_000_000
    assert _problems(page, tmp_path, width, scheme) == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, DARK), (390, LIGHT)])
def test_the_sheet_of_labels_can_be_read(tmp_path: Path, width: int, scheme: int):
    path = "photos of the summer in the mountains/image_0001.jpg"
    rows = [Row(path, "a cat", "a dog", 0.9, DOUBTFUL, f"{n:064x}") for n in range(30)]
    page = to_page(Sheet(tuple(rows), 0, True, str(tmp_path)), "fixes.csv")
    assert _problems(page, tmp_path, width, scheme) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("main { width: 1200px; }", "wider than the page"),
        ("dl.figures div { min-width: 700px; }", "sticks out of"),
        (".quiet { color: #999; }", "contrast"),
        ("dt, h2, figcaption { width: 1.5rem; word-break: break-all; }", "broken"),
    ],
)
def test_the_measurement_finds_problems(
    make_contents: Callable[..., ReportContents],
    tmp_path: Path,
    change: str,
    problem: str,
):
    page = render_page(make_contents(4)).replace("</style>", f"{change}</style>")
    found = _problems(page, tmp_path, 390, LIGHT)
    assert any(problem in each for each in found), found
