"""Read and check the config of the models: names, folders, version policies, labels."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
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
_VERSION = re.compile(r"[0-9]{1,19}")


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


def read_models(config: Any) -> dict[str, ModelConfig]:
    """Return the models of a ModelServerConfig by name.

    Raises:
        StatusError: INVALID_ARGUMENT, if it isn't a list of models, one is listed
            twice, or lacks a platform or an absolute path.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
            "ModelConfigList is currently supported"
        )
    entries = config.model_config_list.config
    _check_names_and_paths(entries)
    models: dict[str, ModelConfig] = {}
    for entry in entries:
        _check_platform(entry)
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
        if not Path(entry.base_path).is_absolute():
            raise invalid(
                f"Expected model {entry.name} to have an absolute path or URI; got "
                f"base_path()={entry.base_path}"
            )


def _check_platform(entry: Any) -> None:
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
    if platform != PLATFORM:
        raise invalid(f"`model_platform` must be {PLATFORM!r}. Received: {platform!r}")


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
        allows_unavailable: Whether a new label may name such a version.

    Raises:
        StatusError: FAILED_PRECONDITION, naming version and model.
    """
    for model in models.values():
        for label, version in sorted(model.labels.items()):
            if version in available.get(model.name, set()):
                continue
            if allows_unavailable and label not in existing.get(model.name, {}):
                continue
            raise failed_precondition(
                f"Request to assign label to version {version} of model {model.name}, "
                "which is not currently available for inference"
            )


def find_versions(base_path: Path) -> dict[int, Path] | None:
    """Return the version folders of a model, or None if its folder is missing.

    A version is a child whose whole name is a number. If two names have the same
    number, such as `7` and `07`, the shorter name counts.
    """
    try:
        children = sorted(base_path.iterdir(), key=lambda child: -len(child.name))
    except OSError:
        return None
    return {
        int(child.name): child
        for child in children
        if _VERSION.fullmatch(child.name) and int(child.name) < 2**63
    }
