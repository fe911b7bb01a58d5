"""Read and check the config of the models: names, folders, version policies, labels."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import message as protobuf_message
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from graft.serving.embedded.contract.status import (
    failed_precondition,
    invalid,
    not_found,
    permission_denied,
)
from graft.storage import files

logger = logging.getLogger(__name__)

Message = TypeVar("Message", bound=protobuf_message.Message)
PLATFORM = "tensorflow"
MODEL_LIST = "model_config_list"
"""The kind of ModelServerConfig that lists models."""
_VERSION = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*")
_MAX_VERSION = 2**63


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which of the versions on disk to serve."""

    kind: str = "latest"
    """`latest`, `all` or `specific`."""
    num_versions: int = 1
    """For `latest`: how many."""
    versions: tuple[int, ...] = ()
    """For `specific`: which ones."""

    def choose(self, found: Mapping[int, Path]) -> dict[int, Path]:
        """Return the versions to serve, of those found on disk."""
        if self.kind == "all":
            return dict(found)
        if self.kind == "specific":
            return {each: found[each] for each in self.versions if each in found}
        newest = sorted(found, reverse=True)[: self.num_versions]
        return {each: found[each] for each in newest}


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model to serve."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


def single_model(name: str, base_path: Path) -> Any:
    """Return the ModelServerConfig for the latest version of one model."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=name, base_path=str(base_path), model_platform=PLATFORM
    )
    return config


def read_config_file(path: Path) -> Any:
    """Return the ModelServerConfig that a text file holds.

    Raises:
        StatusError: As `read_text_proto`.
    """
    config = model_server_config_pb2.ModelServerConfig()
    return read_text_proto(path, config)


def read_text_proto(path: Path, message: Message) -> Message:
    """Read a text-format file into an empty message, and return the message.

    Raises:
        StatusError: NOT_FOUND or PERMISSION_DENIED, if it can't be opened.
            INVALID_ARGUMENT, if it isn't one.
    """
    try:
        text_format.Parse(files.read_small_text(str(path)), message)
    except FileNotFoundError as error:
        raise not_found(f"{path}; {error.strerror}") from error
    except PermissionError as error:
        raise permission_denied(f"{path}; {error.strerror}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"Invalid protobuf file: '{path}': {error}") from error
    except text_format.ParseError as error:
        name = message.DESCRIPTOR.full_name
        logger.error("Error parsing text-format %s: %s", name, error)
        raise invalid(f"Invalid protobuf file: '{path}': {error}") from error
    return message


def is_list(config: Any, *, follows_list: bool) -> bool:
    """Return whether a ModelServerConfig lists models; an empty one does nothing.

    Args:
        config: The ModelServerConfig.
        follows_list: Whether a list was configured before.

    Raises:
        StatusError: FAILED_PRECONDITION, if anything else follows a list.
            INVALID_ARGUMENT for a custom config.
    """
    kind = config.WhichOneof("config")
    if kind == MODEL_LIST:
        return True
    if follows_list:
        raise failed_precondition(
            "Cannot transition to requested config. It is only legal to transition "
            "from one ModelConfigList to another."
        )
    if kind is not None:
        raise invalid("ModelServer does not yet support custom model config.")
    return False


def read_models(config: Any, existing: Collection[str] = ()) -> dict[str, ModelConfig]:
    """Return the models of a ModelServerConfig with a list of them, by name.

    Args:
        config: The ModelServerConfig.
        existing: Names of the present models.

    Raises:
        StatusError: INVALID_ARGUMENT, if a model is listed twice, or lacks a platform
            or an absolute path.
    """
    entries = config.model_config_list.config
    _check_names_and_paths(entries)
    models: dict[str, ModelConfig] = {}
    for entry in entries:
        _check_platform(entry, is_new=entry.name not in existing)
        if not entry.name:
            raise invalid("A model in the config has no name.")
        models[entry.name] = ModelConfig(
            entry.name,
            Path(entry.base_path),
            _read_policy(entry),
            dict(entry.version_labels),
        )
    return models


def _check_names_and_paths(entries: Any) -> None:
    names: set[str] = set()
    for entry in entries:
        if entry.name in names:
            raise invalid(
                f"Illegal to list model {entry.name} multiple times in config list"
            )
        names.add(entry.name)
    for entry in entries:
        if "://" in entry.base_path:
            raise invalid(
                f"Model {entry.name}: base_path() must be a folder, not a URI; got "
                f"{entry.base_path}"
            )
        if not Path(entry.base_path).is_absolute():
            raise invalid(
                f"Expected model {entry.name} to have an absolute path or URI; got "
                f"base_path()={entry.base_path}"
            )


def _check_platform(entry: Any, *, is_new: bool) -> None:
    both = (
        "ModelServerConfig::model_type (deprecated) {} "
        f"ModelServerConfig::model_platform, model name is {entry.name}"
    )
    platform = entry.model_platform
    if entry.model_type:
        if platform:
            raise invalid("Illegal setting both " + both.format("and"))
        if entry.model_type != model_server_config_pb2.TENSORFLOW:
            raise invalid(
                f"ModelServerConfig::model_type choice {entry.model_type} not "
                "supported."
            )
        return
    if not platform:
        raise invalid("Illegal setting neither " + both.format("nor"))
    if platform == PLATFORM:
        return
    if is_new:
        raise invalid(f"Model {entry.name} requests unsupported platform {platform}")
    raise invalid(
        f"Illegal to change a model's platform. For model {entry.name} platform was "
        f"{PLATFORM} and new platform requested is {platform}"
    )


def _read_policy(entry: Any) -> VersionPolicy:
    kind = entry.model_version_policy.WhichOneof("policy_choice")
    if kind == "all":
        return VersionPolicy("all")
    if kind == "specific":
        versions = tuple(entry.model_version_policy.specific.versions)
        if not versions:
            raise invalid(
                f"Version policy of model {entry.name} is `specific` without versions."
            )
        return VersionPolicy("specific", versions=versions)
    return VersionPolicy(
        num_versions=max(1, entry.model_version_policy.latest.num_versions)
    )


def check_labels(
    models: Mapping[str, ModelConfig],
    available: Mapping[str, set[int]],
    existing: Mapping[str, Mapping[str, int]],
    *,
    allows_unavailable: bool,
) -> None:
    """Refuse labels of versions that don't answer requests.

    Args:
        models: The new models.
        available: Versions that are AVAILABLE, by model.
        existing: The present labels, by model.
        allows_unavailable: Whether a label may name such a version, unless it moves.

    Raises:
        StatusError: FAILED_PRECONDITION, naming version and model.
    """
    for model in models.values():
        for label, version in sorted(model.labels.items()):
            if version in available.get(model.name, set()):
                continue
            present = existing.get(model.name, {}).get(label, version)
            if allows_unavailable and present == version:
                continue
            raise failed_precondition(
                f"Request to assign label to version {version} of model {model.name}, "
                "which is not currently available for inference"
            )


def find_versions(base_path: Path) -> dict[int, Path] | None:
    """Return the version folders of a model, or None if its folder is missing.

    A version is a child whose whole name is a number. If two names have the same
    number, such as `07` and `7`, the one that sorts last counts.
    """
    try:
        children = sorted(base_path.iterdir())
    except OSError:
        return None
    numbered = (
        (int(child.name), child) for child in children if _VERSION.fullmatch(child.name)
    )
    return {
        number: child
        for number, child in numbered
        if -_MAX_VERSION <= number < _MAX_VERSION
    }
