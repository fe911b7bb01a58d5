"""The pages in a browser: nothing sticks out, no word is broken, all can be read.

A script in the page measures it, and the browser prints the page with its findings.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.fixes.fix_rows import read_fix_files
from graft.components.report.contents import ReportContents
from graft.components.report.label_sheet import DOUBTFUL, Row, Sheet, to_page
from graft.components.report.page import render_page

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("GRAFT_BROWSER") or next(
    filter(None, map(shutil.which, _NAMES)), None
)
LIGHT, DARK = 1, 0
MEASURE = Path(__file__).with_name("measure_page.js").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="needs a browser: apt-get install chromium-headless-shell"
)


def _run_script(
    page: str, folder: Path, script: str, element: str, width: int, scheme: int
) -> Any:
    """Open a page with a script; return the JSON that it leaves in an element."""
    path = folder / "page.html"
    head, _, tail = page.rpartition("</body>")
    path.write_text(f"{head}<script>{script}</script></body>{tail}", encoding="utf-8")
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
    pattern = rf'<pre id="{element}">(.*?)</pre>'
    found = re.search(pattern, done.stdout, re.DOTALL)
    assert found, "the script did not end"
    return json.loads(unescape(found[1]))


def _problems(page: str, folder: Path, width: int, scheme: int) -> list[str]:
    """Open a page of a width and colour scheme; return what is wrong with it."""
    measured = _run_script(page, folder, MEASURE, "problems", width, scheme)
    assert measured["width"] == width
    assert measured["is_dark"] == (scheme == DARK)
    assert measured["num_texts"] > 20
    problems: list[str] = measured["problems"]
    return problems


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("num_classes", [2, 4, 1000])
def test_the_report_can_be_read(
    make_full_contents: Callable[[int], ReportContents],
    tmp_path: Path,
    num_classes: int,
    width: int,
    scheme: int,
):
    page = render_page(make_full_contents(num_classes))
    assert 2_000_000 < len(page) < 10_000_000
    assert _problems(page, tmp_path, width, scheme) == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, DARK), (390, LIGHT)])
def test_the_sheet_of_labels_can_be_read(tmp_path: Path, width: int, scheme: int):
    path = "photos of the summer in the mountains/image_0001.jpg"
    rows = [Row(path, "a cat", "a dog", 0.9, DOUBTFUL, f"{n:064x}") for n in range(30)]
    classes = ("a cat", "a dog")
    page = to_page(Sheet(tuple(rows), 0, True, str(tmp_path), classes), "fixes.csv")
    assert _problems(page, tmp_path, width, scheme) == []


DECIDE = """
addEventListener("load", () => {
  const press = (row, action) =>
    document.querySelector(`[data-row="${row}"] [value="${action}"]`).click();
  const write = (row, name) => {
    const input = document.querySelector(`[data-row="${row}"] input`);
    input.value = name;
    input.dispatchEvent(new Event("change"));
  };
  document.getElementById("by").value = "Anna, A.";
  press(0, "keep");
  press(1, "accept");
  press(2, "drop");
  press(3, "keep");
  press(3, "keep");  // undone
  write(4, "-1; the class");
  write(5, "no such class");
  press(6, "keep");
  write(6, "a dog");
  const found = document.createElement("pre");
  found.id = "csv";
  found.textContent = JSON.stringify([
    labelSheet.toCsv(),
    document.getElementById("decided").textContent,
  ]);
  document.body.append(found);
});
"""


def test_decisions_in_the_page_are_saved_as_graft_reads_them(tmp_path: Path):
    rows = [
        Row(f'=1 "x", {n}</script>.jpg', "a cat", "a dog", 0.9, DOUBTFUL, f"{n:064x}")
        for n in range(8)
    ]
    classes = ("a cat", "a dog", "-1; the class")
    page = to_page(Sheet(tuple(rows), 0, True, str(tmp_path), classes), "fixes.csv")
    text, decided = _run_script(page, tmp_path, DECIDE, "csv", 1000, LIGHT)
    assert decided == "5 of 8 decided"
    path = tmp_path / "fixes.csv"
    path.write_text(text, encoding="utf-8", newline="")
    (found,) = read_fix_files([str(path)])
    assert found.num_undecided == 3
    assert [
        (int(fix.content_hash or "", 16), fix.kind, fix.new_label)
        for fix in found.fixes
    ] == [
        (0, "keep", None),
        (1, "relabel", "a dog"),
        (2, "drop", None),
        (4, "relabel", "-1; the class"),
        (6, "relabel", "a dog"),
    ]
    assert {fix.by for fix in found.fixes} == {"Anna, A."}
    assert found.fixes[0].path == '=1 "x", 0</script>.jpg'


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
