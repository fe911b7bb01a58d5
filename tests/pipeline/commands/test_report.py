"""`graft report` opens the page at the section that the last screen names."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from graft.components.report import label_sheet
from graft.contract.errors import UserError
from graft.pipeline.cli import app
from graft.pipeline.commands import report
from graft.pipeline.local.last_run import remember_run
from graft.pipeline.local.run_history import Run

TEMPLATE = Path(report.__file__).parents[2] / "components/report/templates"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses that were opened; the page has the template's sections."""
    page = tmp_path / "a page.html"
    template = (TEMPLATE / "report.html.jinja").read_text(encoding="utf-8")
    page.write_text("".join(re.findall("<section.*>", template)), encoding="utf-8")
    started = datetime(2026, 11, 29, tzinfo=UTC)
    run = Run(1, "id", started, 1.0, "complete", {}, {"Report.report": str(page)}, {})
    monkeypatch.setattr(report, "find_run", lambda *_: run)
    addresses: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: addresses.append(url) or True)
    return addresses


def _report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


def test_the_page_opens_at_a_section(opened: list[str], tmp_path: Path) -> None:
    done = _report("--open", "--section", "data")
    assert done.exit_code == 0, done.output
    assert done.output == f"{tmp_path / 'a page.html'}\n"
    assert opened == [(tmp_path / "a page.html").as_uri() + "#data"]


def test_without_section_it_opens_at_the_top(opened: list[str], tmp_path: Path) -> None:
    assert _report("--open").exit_code == 0
    assert opened == [(tmp_path / "a page.html").as_uri()]
    assert _report("--section", "mistakes").exit_code == 0
    assert len(opened) == 1


def test_an_unknown_section_is_refused(opened: list[str]) -> None:
    done = _report("--open", "--section", "dta")
    assert done.exit_code == 1
    assert "`--section` must be one of verdict, rules," in str(done.exception)
    assert "Received: 'dta'." in str(done.exception)
    assert opened == []


def test_without_a_browser_the_user_is_told(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert "open the file yourself" in _report("--open").output


def test_a_damaged_page_is_named(opened: list[str], tmp_path: Path) -> None:
    (tmp_path / "a page.html").write_bytes(b"\xff\xfe\x00")
    done = _report("--open")
    assert isinstance(done.exception, UserError)
    assert "a page.html' is damaged" in str(done.exception)
    assert opened == []


@pytest.fixture
def run_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose files exist, as `graft report --labels` finds it."""
    artifacts = {}
    for key in report._SHEET_ARTIFACTS:
        (tmp_path / key).mkdir()
        artifacts[key] = str(tmp_path / key)
    started = datetime(2026, 11, 29, tzinfo=UTC)
    run = Run(7, "id", started, 1.0, "complete", {}, artifacts, {})
    monkeypatch.setattr(report, "find_run", lambda *_: run)
    row = label_sheet.Row("a.png", "cat", "dog", 0.9, label_sheet.DOUBTFUL, "0" * 64)
    sheet = label_sheet.Sheet((row,), 2, True, artifacts["ImageExampleGen.examples"])
    monkeypatch.setattr(label_sheet, "gather_rows", lambda *uris: sheet)
    return run


def test_labels_are_written_with_a_page_beside_them(run_of: Run, tmp_path: Path):
    path = tmp_path / "my fixes.csv"
    done = _report("--labels", str(path))
    assert done.exit_code == 0, done.output
    assert "1 doubtful label of train, 0 mistakes on test" in done.output
    assert "Left out, decided on before: 2" in done.output
    assert f"graft run ... --labels '{path}'" in done.output
    assert "a.png,cat,dog,0.900,doubtful label,,,," in path.read_text(encoding="utf-8")
    assert "my fixes.csv" in path.with_suffix(".html").read_text(encoding="utf-8")


def test_the_command_to_train_again_is_that_of_the_last_run(
    run_of: Run, tmp_path: Path
):
    folder = tmp_path / "pipelines" / "pets"
    folder.mkdir(parents=True)
    words = ["my photos", "--set", "gate.min_accuracy=0.9", "--labels", "old.csv"]
    remember_run(str(folder), model="pets", data="photos", words=words)
    run_of.config["name"] = "pets"
    path = tmp_path / "fixes.csv"
    done = _report("--labels", str(path), "--output", str(tmp_path))
    assert done.output.rstrip().endswith(
        "Then: graft run 'my photos' --set gate.min_accuracy=0.9 --labels old.csv "
        f"--labels {path}"
    )


@pytest.mark.parametrize("name", ["fixes.csv", "fixes.html"])
def test_decisions_are_never_overwritten(run_of: Run, tmp_path: Path, name: str):
    (tmp_path / name).write_text("mine")
    done = _report("--labels", str(tmp_path / "fixes.csv"))
    assert isinstance(done.exception, UserError)
    assert "may hold decisions" in str(done.exception)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fixes.txt", "must name a file that ends in .csv"),
        ("none/fixes.csv", "must lie in a folder that exists"),
    ],
)
def test_a_file_that_can_not_be_written_is_refused(
    run_of: Run, tmp_path: Path, name: str, message: str
):
    done = _report("--labels", str(tmp_path / name))
    assert message in str(done.exception)


def test_a_run_whose_files_are_gone_is_refused(run_of: Run, tmp_path: Path):
    (tmp_path / "DataQuality.quality").rmdir()
    done = _report("--labels", str(tmp_path / "fixes.csv"))
    assert "Run 7 lacks files that this needs" in str(done.exception)


def test_a_report_is_found_without_tensorflow() -> None:
    code = "import graft.components.report.timings, sys; "
    code += "assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
