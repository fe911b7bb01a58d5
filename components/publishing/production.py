"""What is in production, and whether it still is what somebody saw."""

from __future__ import annotations

from graft.components.evaluation.baseline import Production
from graft.components.publishing.audit import (
    Line,
    changes_production,
    production_position,
    read_audit,
)
from graft.components.publishing.labels import read_labels
from graft.components.publishing.store_lock import settle
from graft.components.publishing.versions import Version, list_versions
from graft.contract.errors import StoreChangedError
from graft.storage.paths import name_of

STABLE = "stable"
"""The label of the version in production."""


def served_version(model_folder: str) -> Version | None:
    """Return the version in production.

    It is the one labelled `stable`. If the labels are lost, the audit log tells it. In
    a store without both it is the newest.
    """
    versions = {version.number: version for version in list_versions(model_folder)}
    if not versions:
        return None
    stable = read_labels(model_folder).get(STABLE)
    if stable not in versions:
        line = last_change(model_folder)
        stable = None if line is None else line["version"]
    return versions.get(stable or 0) or versions[max(versions)]


def lost_production(model_folder: str) -> Line | None:
    """Return the audit log's line of the version in production, if it is gone.

    A version is gone if it has no folder, or no graph, so that no server loads it. The
    line is a short one if the log does not know the version.
    """
    numbers = {version.number for version in list_versions(model_folder)}
    number = read_labels(model_folder).get(STABLE)
    if number is None:
        change = last_change(model_folder)
        number = None if change is None else change["version"]
    if number is None or number in numbers:
        return None
    for line in reversed(read_audit(model_folder)):
        if changes_production(line) and line.get("version") == number:
            return line
    return {"version": number}


def read_production(model_folder: str) -> Production:
    """Return what is in production, after a change that is under way."""
    settle(model_folder)
    return production_now(model_folder)


def production_now(model_folder: str) -> Production:
    """Return what is in production. The caller holds the lock, or does not need it."""
    served = served_version(model_folder)
    labels = read_labels(model_folder)
    is_labelled = served is not None and labels.get(STABLE) == served.number
    return Production(
        model=name_of(model_folder),
        version=None if served is None else served.number,
        files_hash=None if served is None else served.files_hash,
        label=STABLE if is_labelled else None,
        audit_position=production_position(model_folder),
        labels=labels,
    )


def check_unchanged(
    model_folder: str, seen: Production, *, found: str, remedy: str
) -> Production:
    """Compare what is in production with what the caller acts upon, and return it.

    Args:
        model_folder: `<store>/<model name>`. The caller holds the lock.
        seen: What the verdict was made against, or what the user saw.
        found: What the user is told if they differ; `{}` stands for what was seen.
        remedy: How to go on then.

    Raises:
        StoreChangedError: They differ.
    """
    now = production_now(model_folder)
    if now == seen:
        return now
    what = found.format(seen.describe())
    raise StoreChangedError(f"{what}, but {_now(model_folder, seen, now)}. {remedy}")


def last_change(model_folder: str) -> Line | None:
    """Return the line about the last change of production, if there is one."""
    for line in reversed(read_audit(model_folder)):
        if changes_production(line):
            return line
    return None


def describe_change(line: Line | None) -> str:
    """Return a few words on who made a change and when; "" for none."""
    if line is None:
        return ""
    return f" ({line['action']} by {line.get('user')}, {line.get('time')})"


def _now(model_folder: str, seen: Production, now: Production) -> str:
    if now.version is None:
        return "no version is served now"
    change = describe_change(last_change(model_folder))
    if now.version != seen.version:
        return f"version {now.version} is served now{change}"
    if now.files_hash != seen.files_hash:
        return f"the files of version {now.version} are others now"
    return f"production has changed since{change} and serves version {now.version} now"
