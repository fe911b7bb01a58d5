"""The origin and the verdict of a model, for its manifest."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from graft.components.evaluation.verdict import Verdict
from graft.storage import hashing

_ROOT = Path(__file__).resolve().parents[2]
_DISTRIBUTION = "graft-tfx"


def describe_environment() -> dict[str, Any]:
    """Return the code's version, and hashes of the lock file and of the environment.

    Returns:
        `graft_version`; `git_commit`, which ends in `-dirty` for a changed checkout and
        is None without a checkout; `lock_sha256` of requirements.lock, or None without
        the file; `environment_sha256` of names and versions of all installed packages.
    """
    lock = _ROOT / "requirements.lock"
    return {
        "graft_version": _version(),
        "git_commit": _git_commit(),
        "lock_sha256": hashing.hash_file(str(lock)) if lock.is_file() else None,
        "environment_sha256": _environment_hash(),
    }


def record_of(verdict: Verdict) -> dict[str, Any]:
    """Return the parts of a verdict that a manifest stores."""
    return {
        "metrics": verdict.metrics,
        "data_profile": verdict.data_profile,
        **({"label_fixes": verdict.label_fixes} if verdict.label_fixes else {}),
        "verdict": {
            "is_blessed": verdict.is_blessed,
            "rules": [
                {"rule": rule.rule, "outcome": rule.outcome, "message": rule.message}
                for rule in verdict.rules
            ],
            "comparison": verdict.comparison,
            "baseline": verdict.baseline,
            "drift": verdict.drift,
        },
    }


def _version() -> str | None:
    try:
        return metadata.version(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


def _environment_hash() -> str:
    installed = sorted(map(_name_and_version, metadata.distributions()))
    return hashing.hash_bytes("\n".join(installed).encode())


def _name_and_version(distribution: metadata.Distribution) -> str:
    """Return such as "numpy==1.26.4".

    `Distribution.metadata` parses whole descriptions, a tenth as fast.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    fields: dict[str, str | None] = {"Name": "", "Version": None}
    for line in (text or "").splitlines():
        name, colon, value = line.partition(": ")
        if not colon and not line:
            break  # The description follows.
        if name in fields:
            fields[name] = value.strip()
    return f"{str(fields['Name']).lower()}=={fields['Version']}"


def _git_commit() -> str | None:
    if not (_ROOT / ".git").exists():
        return None
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(_ROOT), *arguments],  # noqa: S607 - whatever git there is
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
