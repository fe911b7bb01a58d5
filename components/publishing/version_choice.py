"""Which version may come into production by a promotion or a rollback."""

from __future__ import annotations

from collections.abc import Iterable

from graft.components.evaluation.baseline import Production
from graft.components.publishing.audit import withdrawals
from graft.components.publishing.versions import Version, find_damage
from graft.contract.errors import StoreChangedError, UserError


def check_sound(version: Version) -> None:
    """Refuse a damaged version.

    Raises:
        UserError: A file is damaged.
    """
    damage = find_damage(version)
    if damage:
        raise UserError(
            f"Version {version.number} is damaged: {'; '.join(damage)}. "
            "`graft models --verify` shows which versions are sound."
        )


def check_promotion(model_folder: str, version: Version, now: Production) -> None:
    """Refuse a version that replaces something that it was not judged against.

    Args:
        model_folder: `<store>/<model name>`.
        version: The version that is to come into production.
        now: What is in production.

    Raises:
        StoreChangedError: It was judged against something else.
        UserError: It was rolled back.
    """
    nonetheless = (
        f"`graft models --promote {version.number} --reason TEXT` promotes it "
        "nonetheless."
    )
    reason = withdrawals(model_folder).get(version.files_hash)
    if reason is not None:
        raise UserError(
            f"Version {version.number} was rolled back: {reason!r}. {nonetheless}"
        )
    judged = Production.from_dict(version.manifest.get("judged_against"))
    if judged != now:
        before = "an unknown model" if judged is None else judged.describe()
        raise StoreChangedError(
            f"Not promoted: version {version.number} was judged against {before}, but "
            f"{now.describe()} is served now. {nonetheless}"
        )


def rollback_target(
    versions: list[Version],
    served: Version,
    number: int | None,
    withdrawn: dict[str, str],
    *,
    is_lost: bool = False,
) -> tuple[Version, list[int]]:
    """Return the version to go back to, and the damaged ones that were passed over.

    Args:
        versions: All versions, oldest first.
        served: The version in production.
        number: The version that the user asked for; None: the newest sound one before
            the served one, with other files, that was not rolled back.
        withdrawn: Files' hash to reason of the models that were rolled back.
        is_lost: Whether the version in production is gone. Then `served` only takes
            its place for servers without labels, and may be chosen, too.

    Raises:
        UserError: There is no such version, it is served already, or it is damaged.
    """
    # Of an older one the files get the greatest number, for servers without labels.
    if not is_lost and number == served.number == versions[-1].number:
        raise UserError(f"Version {number} is served already.")
    if number is not None:
        for version in versions:
            if version.number == number:
                check_sound(version)
                return version, []
        raise UserError(
            f"There is no version {number}. "
            f"Versions: {_join(version.number for version in versions)}."
        )
    passed_over: list[int] = []
    rolled_back: list[Version] = []
    for version in reversed(versions):
        is_before = is_lost or (
            version.number < served.number
            and not (version.manifest and version.files_hash == served.files_hash)
        )
        if not is_before:
            continue
        if version.manifest and version.files_hash in withdrawn:
            rolled_back.append(version)
        elif not find_damage(version):
            return version, passed_over
        else:
            passed_over.append(version.number)
    before = "sound version" if is_lost else f"version before {served.number}, which is"
    raise UserError(
        f"There is no {before}{'' if is_lost else ' served,'} to restore."
        f"{_describe_rest(passed_over, rolled_back, withdrawn)} "
        "`graft models` lists the versions."
    )


def _describe_rest(
    damaged: list[int], rolled_back: list[Version], withdrawn: dict[str, str]
) -> str:
    """Say why no earlier version is restored by itself, and how to restore one."""
    text = ""
    if damaged:
        text += f" Damaged: {_join(damaged)}; `graft models --repair` may mend them."
    sound = [version for version in rolled_back if not find_damage(version)]
    if sound:
        newest = sound[0]
        text += (
            f" Sound, but rolled back before: {_join(v.number for v in sound)} "
            f"({newest.number}: {withdrawn[newest.files_hash]!r}). `graft rollback "
            f"{newest.number} --reason TEXT` restores {newest.number} nonetheless."
        )
    return text


def _join(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
