"""Find the models that were pushed to a folder: `<folder>/<model>/<version>/`."""

from __future__ import annotations

from pathlib import Path

from graft.serving.errors import ModelNotFoundError
from graft.storage.path_hints import hint_about

DEFAULT_FOLDER = Path("graft_output") / "serving"
DEFAULT_NAME = "graft"


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
        name: The model's name. By default, the only model in the folder, or the one
            named `graft` among several.

    Raises:
        ModelNotFoundError: If there is none; the message names the command to run.
    """
    if name in (None, folder.name) and find_versions(folder):
        return folder
    models = {}
    if folder.is_dir():
        models = {path.name: path for path in folder.iterdir() if find_versions(path)}
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    wanted = name or DEFAULT_NAME
    if wanted in models:
        return models[wanted]
    if not models:
        raise ModelNotFoundError(
            f"No model has been pushed to {folder} yet. "
            + (
                hint_about(str(folder))
                or "`graft run` trains one and pushes it there; `--model-dir` names "
                "another folder."
            )
        )
    raise ModelNotFoundError(
        f"There is no model {wanted!r} in {folder}, only: {', '.join(sorted(models))}. "
        "Choose one by `--model`."
    )


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
