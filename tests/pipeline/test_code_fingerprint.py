"""The fingerprint covers exactly the code that the roots depend on."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from graft.pipeline import code_fingerprint as module
from graft.pipeline.code_fingerprint import CodeFingerprints

ROOT = Path(__file__).resolve().parents[2]

FILES = {
    "work/__init__.py": "import graft.work.of_package\n",
    "work/of_package.py": "",
    "work/executor.py": """
        from typing import TYPE_CHECKING

        from graft.work import from_package
        from graft.work.from_module import name
        from . import relative

        if TYPE_CHECKING:
            from graft.work import only_a_type

        def f():
            from graft.tools.in_function import g

            TEMPLATES = HERE / "templates"
            subprocess.run(["-m", "graft.server"])
            logging.getLogger("graft.work.executor.logger")
        """,
    "work/from_package.py": "",
    "work/from_module.py": "import graft.work.indirect",
    "work/indirect.py": "import graft.work.executor",
    "work/relative.py": "",
    "work/only_a_type.py": "",
    "work/unused.py": "",
    "work/templates/page.html.jinja": "<p>",
    "work/templates/parts/foot.html.jinja": "<p>",
    "work/notes.txt": "",
    "tools/__init__.py": "",
    "tools/in_function.py": "",
    "tools/unused.py": "",
    "server/__init__.py": "",
    "server/__main__.py": "import graft.server.app",
    "server/app.py": "",
    "server/unused.py": "",
}
NOT_REACHED = {
    "work/only_a_type.py",
    "work/unused.py",
    "work/notes.txt",
    "tools/unused.py",
    "server/unused.py",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small `graft` with packages `work`, `tools` and `server`."""
    import textwrap

    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


def fingerprint(tree: Path, *names: str) -> str:
    def folder_of(package: str) -> Path:
        return tree / package.removeprefix("graft.")

    return CodeFingerprints(folder_of).of(*names)


@pytest.mark.parametrize("name", FILES)
def test_an_edit_counts_where_the_code_is_reached(tree: Path, name: str) -> None:
    before = fingerprint(tree, "graft.work.executor.Executor")
    path = tree / name
    path.write_text(path.read_text() + "\nEDITED = 1\n")
    is_changed = fingerprint(tree, "graft.work.executor.Executor") != before
    assert is_changed == (name not in NOT_REACHED)


def test_a_new_file_among_the_templates_counts(tree: Path) -> None:
    before = fingerprint(tree, "graft.work.executor")
    (tree / "work/templates/head.html.jinja").write_text("")
    assert fingerprint(tree, "graft.work.executor") != before


def test_compiled_files_do_not_count(tree: Path) -> None:
    before = fingerprint(tree, "graft.work.executor")
    cache = tree / "work/templates/__pycache__"
    cache.mkdir()
    (cache / "page.pyc").write_bytes(b"1")
    assert fingerprint(tree, "graft.work.executor") == before


def test_several_names_are_covered_together(tree: Path) -> None:
    before = fingerprint(tree, "graft.tools.in_function", "graft.tools.unused")
    (tree / "tools/unused.py").write_text("EDITED = 1")
    after = fingerprint(tree, "graft.tools.in_function", "graft.tools.unused")
    assert after != before


def test_an_unknown_module_is_named(tree: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"graft\.nowhere\.Executor"):
        fingerprint(tree, "graft.nowhere.Executor")


@pytest.mark.parametrize(
    ("line", "distribution"),
    [
        ("import sklearn.linear_model", "scikit-learn"),
        ("from PIL import Image", "pillow"),
        ("from google.protobuf import text_format", "protobuf"),
        ("from google.protobuf.message import Message", "protobuf"),
        ("def f():\n    import openvino as ov", "openvino"),
    ],
)
def test_the_version_of_an_imported_distribution_counts(
    tree: Path, monkeypatch: pytest.MonkeyPatch, line: str, distribution: str
) -> None:
    (tree / "work/executor.py").write_text(line)
    before = fingerprint(tree, "graft.work.executor")
    asked: set[str] = set()

    def version(name: str) -> str:
        asked.add(name)
        return f"{name} of tomorrow"

    monkeypatch.setattr(metadata, "version", version)
    assert fingerprint(tree, "graft.work.executor") != before
    assert asked == {distribution}


def test_the_standard_library_has_no_version(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "work/executor.py").write_text("import os.path\nfrom json import loads")
    before = fingerprint(tree, "graft.work.executor")
    monkeypatch.setattr(metadata, "version", lambda name: "tomorrow")
    assert fingerprint(tree, "graft.work.executor") == before


def test_a_distribution_that_is_absent_counts_as_such(tree: Path) -> None:
    (tree / "work/executor.py").write_text("import no_such_distribution")
    before = fingerprint(tree, "graft.work.executor")
    (tree / "work/executor.py").write_text("import no_such_distribution  # optional")
    assert fingerprint(tree, "graft.work.executor") == before


def test_nothing_is_run(tree: Path) -> None:
    (tree / "work/executor.py").write_text("raise SystemExit")
    assert fingerprint(tree, "graft.work.executor")


def test_a_wheel_has_the_fingerprints_of_the_checkout(tmp_path: Path) -> None:
    """An editable install maps `graft` by an import hook, a wheel is plain folders."""
    names = [
        "graft.components.report.component.Report_Executor",
        "graft.components.canary.component.Canary_Executor",
        "graft.trainer.run_fn.run_fn",
    ]
    installed = tmp_path / "installed"
    with zipfile.ZipFile(_build_wheel(tmp_path)) as wheel:
        wheel.extractall(installed)
    script = (
        "import sys; from graft.pipeline import code_fingerprint as module;"
        "print(module.__file__, *map(module.CodeFingerprints().of, sys.argv[1:]))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script, *names],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert Path(printed[0]).is_relative_to(installed)
    assert not Path(module.__file__).is_relative_to(installed)
    assert printed[1:] == [CodeFingerprints().of(name) for name in names]


def _build_wheel(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    unwanted = ignore_patterns(".*", "build", "*.egg-info", "tests", "__pycache__")
    copytree(ROOT, source, ignore=unwanted)
    script = "from setuptools import build_meta; print(build_meta.build_wheel('..'))"
    subprocess.run(
        [sys.executable, "-c", script], cwd=source, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    return wheel
