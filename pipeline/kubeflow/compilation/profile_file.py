"""Read a deployment profile from a YAML file.

Four profiles come with graft (`profiles/`). A user's own may start with
`extends: gpu-gke` and contain only what differs.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from graft.contract.errors import UserError
from graft.pipeline import strict_yaml
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.validation_messages import describe_mistakes

FOLDER = Path(__file__).parents[1] / "profiles"


class ProfileError(UserError):
    """A profile is missing or invalid; the message lists every mistake."""


def load_profile(name: str, *, image: str | None = None) -> Profile:
    """Read and check a profile.

    Args:
        name: Name of a built-in profile, such as `cpu`, or the path of a .yaml or .yml
            file.
        image: Image for every step, in place of the profile's images.

    Raises:
        ProfileError: The profile is missing or invalid.
    """
    values: dict[str, Any] = {}
    for file in reversed(_chain(name)):
        values = _merge(values, file.values)
        _refuse_unused_settings(file.name, file.values, values)
    try:
        profile = Profile.model_validate(values)
    except ValidationError as error:
        lines = [f"  {line}" for line in describe_mistakes(error, Profile)]
        raise ProfileError(
            f"Profile {name!r} is invalid:\n" + "\n".join(lines)
        ) from None
    if image is None:
        return profile
    return profile.model_copy(update={"image": image, "gpu_image": None})


def built_in_profiles() -> list[str]:
    """Return the names of the profiles that come with graft."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def files_of_profile(name: str) -> list[Path]:
    """Return the file of a profile, and those of the profiles that it extends.

    Raises:
        ProfileError: One of them is missing, or is not a mapping in YAML.
    """
    return [file.path for file in _chain(name)]


class _File(NamedTuple):
    """One file of a profile: its name as given, its path, and its own settings."""

    name: str
    path: Path
    values: dict[str, Any]


def _chain(name: str) -> list[_File]:
    """Read a profile and those that it extends, itself first."""
    files: list[_File] = []
    while True:
        names = [file.name for file in files]
        path, values = _read(name)
        # One file may be named in several ways, such as sub/../a.yaml.
        if path.resolve() in (file.path.resolve() for file in files):
            raise ProfileError(
                f"Profiles extend each other in a circle: {' -> '.join(names)}"
            )
        parent = values.pop("extends", None)
        files.append(_File(name, path, values))
        if parent is None:
            return files
        name = str(parent)
        if name.endswith((".yaml", ".yml")):
            name = str(path.parent / name)


def _read(name: str) -> tuple[Path, dict[str, Any]]:
    is_path = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_path else FOLDER / f"{name}.yaml"
    try:
        values = strict_yaml.read_file(path) or {}
    except FileNotFoundError:
        near = difflib.get_close_matches(name, built_in_profiles(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ProfileError(
            f"No such profile: {name!r}.{hint} Allowed: {built_in_profiles()} or the "
            "path of a .yaml file."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProfileError(f"{str(path)!r} can't be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ProfileError(
            f"{str(path)!r} must hold keys and values, such as `image:`."
        )
    return path, values


def _refuse_unused_settings(
    name: str, own: Mapping[str, Any], merged: Mapping[str, Any]
) -> None:
    """Refuse settings of a step that are for the pool on which it does not run.

    A profile may inherit such settings: they hold when the step moves to that pool.

    Args:
        name: Name of the profile.
        own: What the profile itself contains.
        merged: What it contains with the profiles that it extends.

    Raises:
        ProfileError: A step has a setting that would not be used.
    """
    steps = own.get("steps")
    if not isinstance(steps, Mapping):
        return
    gpu_steps = merged.get("gpu_steps", Profile.model_fields["gpu_steps"].default)
    if not isinstance(gpu_steps, list | tuple):
        gpu_steps = ()
    for step, settings in steps.items():
        if not isinstance(settings, Mapping):
            continue
        pool = merged["steps"][step].get("pool")
        is_gpu = pool == "gpu" or (pool is None and step in gpu_steps)
        if is_gpu and merged.get("gpu_pool"):
            if settings.get("resources"):
                raise ProfileError(
                    f"Profile {name!r}: {step} runs on the GPU pool, where "
                    f"`steps.{step}.resources` has no effect. Use "
                    f"`steps.{step}.gpu_resources`."
                )
            continue
        for key in ("gpu_count", "gpu_resources"):
            if settings.get(key):
                remedy = f"Add {step!r} to `gpu_steps`, or take the setting out."
                if pool == "cpu":
                    remedy = f"Take out `steps.{step}.pool`, or the setting."
                if not merged.get("gpu_pool"):
                    remedy = "The profile has no `gpu_pool`."
                raise ProfileError(
                    f"Profile {name!r}: {step} runs without a GPU, where "
                    f"`steps.{step}.{key}` has no effect. {remedy}"
                )


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings key by key; other values are replaced."""
    merged = dict(base)
    for key, value in own.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged
