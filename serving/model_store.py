"""Find the models that were pushed to a folder: `<folder>/<model>/<version>/`."""

from __future__ import annotations

from pathlib import Path

from graft.serving.errors import ModelNotFoundError
from graft.storage.path_hints import hint_about

DEFAULT_FOLDER = Path("graft_output") / "serving"
DEFAULT_NAME = "graft"
"""Name of the model in `kubernetes/`, and of a compiled pipeline's without a name."""


def find_versions(base_path: Path) -> dict[int, Path]:
    """Return the folder of each complete version: one with a `saved_model.pb`."""
    if not base_path.is_dir():
        return {}
    return {
        int(child.name): child
        for child in base_path.iterdir()
        if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    }


def find_model(folder: Path, name: str | None = None) -> Path:
    """Return the base path of a model: the folder of its versions.

    Args:
        folder: A folder of models, or the base path itself.
        name: The model's name. By default, the only model in the folder.

    Raises:
        ModelNotFoundError: If there is none, or several and none is named; the message
            says what to do.
    """
    if name in (None, folder.name) and find_versions(folder):
        return folder
    names = models_in(folder)
    if name is None and len(names) == 1:
        return folder / names[0]
    if name in names:
        return folder / name
    if not names:
        raise ModelNotFoundError(
            f"No model has been pushed to {folder} yet. "
            + (
                hint_about(str(folder))
                or "`graft run` trains one and pushes it there; `--model-dir` names "
                "another folder."
            )
        )
    if name is None:
        raise ModelNotFoundError(
            f"There are several models in {folder}: {', '.join(names)}. Choose one by "
            "`--model`."
        )
    raise ModelNotFoundError(
        f"There is no model {name!r} in {folder}, only: {', '.join(names)}. "
        "Choose one by `--model`."
    )


def models_in(folder: Path) -> list[str]:
    """Return the names of the models with a complete version in a folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if find_versions(path))


def newest_version(base_path: Path) -> tuple[int, Path]:
    """Return number and folder of a model's newest version.

    Raises:
        ModelNotFoundError: If the model has no version.
    """
    versions = find_versions(base_path)
    if not versions:
        raise ModelNotFoundError(
            f"{base_path} has no version with a saved_model.pb in it. `graft run` "
            "trains a model and pushes one."
        )
    number = max(versions)
    return number, versions[number]
