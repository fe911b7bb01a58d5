"""The imports of graft-client, and graft's requirement of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "serving" / "client" / "graft_client"


def imported_modules(path: Path) -> set[str]:
    """Return all modules that a file imports, at any level."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules.add(node.module or "")
    return modules


def test_it_imports_the_standard_library_grpc_and_protobuf_only():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) >= 9
    for path in files:
        foreign = {
            name
            for name in imported_modules(path)
            if name.partition(".")[0] not in {*sys.stdlib_module_names, "grpc"}
            and not name.startswith(("graft_client", "google.protobuf"))
        }
        assert not foreign, path


def test_importing_it_loads_nothing_heavy():
    program = (
        "import sys, graft_client\n"
        "heavy = {'graft', 'tensorflow', 'tensorflow_serving', 'keras', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_it_requires_grpcio_and_protobuf_only():
    required = [Requirement(text) for text in metadata.requires("graft-client") or []]
    assert sorted(each.name for each in required) == ["grpcio", "protobuf"]


def test_graft_requires_the_release_in_this_repository():
    required = [Requirement(text) for text in metadata.requires("graft-tfx") or []]
    (ours,) = [each for each in required if each.name == "graft-client"]
    assert ours.specifier.contains(metadata.version("graft-client"))
    text = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.*)"$', text, re.MULTILINE)
    assert version == metadata.version("graft-client")
