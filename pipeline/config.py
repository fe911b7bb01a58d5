"""The config of a run: one YAML file, checked before TFX is imported."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from graft.components.canary.config import CanaryConfig
from graft.components.evaluation.config import GateConfig
from graft.components.features.config import FeaturesConfig
from graft.components.ingestion.sources.config import DataConfig
from graft.components.publishing.config import PushConfig
from graft.components.quality.config import DataQualityConfig
from graft.components.validation.config import DataValidationConfig
from graft.contract.errors import UserError
from graft.contract.strict_model import StrictModel
from graft.pipeline import strict_yaml
from graft.pipeline.beam_runners.arguments import beam_arguments
from graft.pipeline.beam_runners.config import BeamConfig
from graft.pipeline.path_checks import check_characters
from graft.pipeline.validation_messages import describe_mistakes
from graft.storage.path_hints import hint_about
from graft.storage.paths import expand_home, is_remote
from graft.trainer.backbones.presets import get_preset
from graft.trainer.config import ModelConfig, TrainingConfig

DEFAULT_OUTPUT = "graft_output"
"""Output folder of a run whose config names none."""
DEFAULT_NAME = "graft"
"""Name of a compiled pipeline and its model without a name."""
PIPELINES_FOLDER = "pipelines"
"""Folder in the output folder that has a folder per pipeline."""
_BUILT_IN = ("keras:", "sklearn:")
_DATA_SCHEMES = ("gs://", "s3://")
_DATA_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".tfrecord", ".tfrecords")
"""Of files that are data, and no config; `.gz` may follow."""
METADATA_FILE = "metadata.sqlite"
"""File name of a pipeline's metadata store in the pipeline's folder."""


class ConfigError(UserError):
    """A config is invalid; the message lists every mistake in it."""


class RetentionConfig(StrictModel):
    """Which local runs keep their files. `graft gc` removes those of others."""

    keep_runs: int | None = Field(
        5,
        ge=1,
        description="Complete runs whose artifacts and logs are kept after a local "
        "run. Runs whose version is in the model store keep theirs in any case. "
        "null: all.",
    )


class PipelineConfig(StrictModel):
    """The config of a run."""

    name: str = Field(
        DEFAULT_NAME,
        pattern="^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$",
        description="Name of the pipeline: lower-case letters, digits and hyphens, at "
        "most 45, as Kubeflow asks. Empty: the name of the data's folder.",
    )
    output: str = Field(
        DEFAULT_OUTPUT,
        min_length=1,
        description="Folder for artifacts, metadata, logs, reports and, unless "
        "`push.destination` says otherwise, served models.",
    )
    data: DataConfig = Field(description="The labelled images.")
    data_validation: DataValidationConfig = Field(
        DataValidationConfig(), description="The schema that data must fit."
    )
    data_quality: DataQualityConfig = Field(
        DataQualityConfig(), description="Checks of the images and labels."
    )
    features: FeaturesConfig = Field(
        FeaturesConfig(), description="How bottleneck features are computed and kept."
    )
    model: ModelConfig = Field(ModelConfig(), description="Backbone and head.")
    training: TrainingConfig = Field(
        TrainingConfig(), description="How the head, or more, is trained."
    )
    gate: GateConfig = Field(GateConfig(), description="What a candidate must reach.")
    canary: CanaryConfig = Field(
        CanaryConfig(), description="How a candidate is tested before it is pushed."
    )
    push: PushConfig = Field(
        PushConfig(), description="Where and how a model is pushed."
    )
    retention: RetentionConfig = Field(
        RetentionConfig(), description="Which local runs keep their files."
    )
    beam: BeamConfig = Field(BeamConfig(), description="Where Beam jobs run.")
    beam_args: tuple[str, ...] = Field(
        (), description="More arguments for Apache Beam, after those of `beam`."
    )

    @model_validator(mode="after")
    def _check_paths(self) -> PipelineConfig:
        paths = {
            "output": self.output,
            "data.path": self.data.path,
            "data_validation.schema_path": self.data_validation.schema_path,
            "features.cache": self.features.cache,
            "training.checkpoints": self.training.checkpoints,
            "push.destination": self.push.destination,
            **{
                f"data.label_fixes[{index}]": path
                for index, path in enumerate(self.data.label_fixes)
            },
        }
        model_folders = ("output", "training.checkpoints", "push.destination")
        check_characters(paths, model_folders)
        return self

    def unused_keys(self) -> list[str]:
        """Return a sentence per key that is set and that the training doesn't read."""
        is_linear = not self.model.head and self.model.pooling != "none"
        unused = self.training.unused_keys(has_linear_head=is_linear)
        return [
            f"`training.{key}` has no effect here: it needs {needs}."
            for key, needs in unused.items()
        ]

    @field_validator("model")
    @classmethod
    def _check_preset(cls, model: ModelConfig) -> ModelConfig:
        try:
            get_preset(model.preset)
        except UserError as error:
            raise ValueError(str(error)) from None
        return model

    @property
    def pipeline_folder(self) -> str:
        """Folder of this pipeline's artifacts, metadata and logs."""
        return os.path.join(self.output, PIPELINES_FOLDER, self.name)

    @property
    def all_beam_args(self) -> list[str]:
        """Arguments for Apache Beam: those of `beam`, then `beam_args`."""
        return [*beam_arguments(self.beam), *self.beam_args]

    def with_label_fixes(self, paths: Sequence[str]) -> PipelineConfig:
        """Return the config with more files of label fixes."""
        return self.with_fix_files((*self.data.label_fixes, *paths))

    def with_fix_files(self, paths: Sequence[str]) -> PipelineConfig:
        """Return the config with these files of label fixes, in place of its own."""
        data = self.data.model_copy(update={"label_fixes": tuple(paths)})
        return self.model_copy(update={"data": data})

    def with_absolute_paths(self) -> PipelineConfig:
        """Return the config with paths that hold in workers, too.

        A worker has another working directory, and maybe another home.
        """
        data = self.data.model_copy(
            update={
                "path": _absolute(self.data.path),
                "label_fixes": tuple(map(_absolute, self.data.label_fixes)),
            }
        )
        model = self.model.model_copy(update={"weights": _absolute(self.model.weights)})
        features = self.features.model_copy(
            update={"cache": _absolute(self.features.cache)}
        )
        return self.model_copy(
            update={
                "output": _absolute(self.output),
                "data": data,
                "features": features,
                "model": model,
            }
        )

    @property
    def metadata_path(self) -> str:
        """Path of the SQLite metadata store of local runs."""
        return os.path.join(self.pipeline_folder, METADATA_FILE)

    @property
    def resolved_push(self) -> PushConfig:
        """What `push` says, with a destination."""
        return self.push.resolved(self.output)

    @property
    def push_destination(self) -> str:
        """Model store: the folder with a folder per served model."""
        return str(self.resolved_push.destination)

    @property
    def feature_cache(self) -> str:
        """Folder of the feature cache; "" if there is none."""
        if self.features.cache == "none":
            return ""
        return self.features.cache or os.path.join(self.output, "features")

    @property
    def checkpoint_folder(self) -> str:
        """Folder of the training checkpoints; "" if there is none."""
        if self.training.checkpoints == "none":
            return ""
        return self.training.checkpoints or os.path.join(
            self.pipeline_folder, "checkpoints"
        )


def _absolute(path: str | None) -> str | None:
    """Return the absolute form of a local path; other values stay as they are."""
    if path is None or path == "none" or path.startswith(_BUILT_IN) or is_remote(path):
        return path
    return os.path.abspath(expand_home(path))


def load_config(
    path: str | os.PathLike[str] | None,
    *,
    data: str | None = None,
    output: str | None = None,
    overrides: Sequence[str] | None = None,
    fill_in: Callable[[dict[str, Any]], None] | None = None,
) -> PipelineConfig:
    """Read and check a config.

    Args:
        path: YAML file; a folder of images, a manifest, a URI or a built-in data set
            stands for `data`, None for an empty file.
        data: Replaces `data.path` when given.
        output: Replaces `output` when given.
        overrides: `key=value` with a dotted key; the value is YAML.
        fill_in: Called with the values before they are checked, to add missing ones.

    Returns:
        The checked config.

    Raises:
        ConfigError: The config is invalid; the message lists every mistake.
    """
    if path is not None and is_data(str(path)):
        if data is not None:
            raise ConfigError(
                f"{str(path)!r} names images, and `--data` names images, too. "
                f"Name one of them. Received: --data {data!r}"
            )
        path, data = None, str(path)
    values = _read_yaml(Path(path)) if path is not None else {}
    source = str(path) if path is not None else "the command line"
    for override in overrides or ():
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"`--set` takes key=value. Received: {override!r}")
        _assign(values, key.strip(), _parse_value(override, text))
    if data is not None:
        _assign(values, "data.path", data)
    if output is not None:
        _assign(values, "output", output)
    if "data" not in values:
        raise ConfigError(
            "No data: name a config, or a folder of images with one folder per class "
            "(graft run my_photos)."
        )
    if fill_in is not None:
        fill_in(values)
    try:
        return PipelineConfig.model_validate(values)
    except ValidationError as error:
        lines = [f"  {line}" for line in describe_mistakes(error, PipelineConfig)]
        raise ConfigError(
            f"{source} is not a valid config:\n" + "\n".join(lines)
        ) from None


def is_data(path: str) -> bool:
    """Return whether a command's argument names data, as `data.path` does."""
    if path.startswith((*_BUILT_IN, *_DATA_SCHEMES)) or os.path.isdir(path):
        return True
    return path.lower().removesuffix(".gz").endswith(_DATA_ENDINGS)


def dump_config(config: PipelineConfig) -> str:
    """Return the whole config, defaults included, as YAML."""
    text: str = yaml.safe_dump(
        config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    )
    return text


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = strict_yaml.read_file(path)
    except FileNotFoundError:
        hint = hint_about(str(path))
        raise ConfigError(
            f"No such config, and no such folder of images: {str(path)!r}."
            f"{f' {hint}' if hint else _nearby(path)}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{str(path)!r} is not YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{str(path)!r} must hold keys and values, such as `data:`. "
            f"Received: {type(values).__name__}"
        )
    return values


def _nearby(path: Path) -> str:
    """Suggest a config file, or a folder beside the path, with a similar name."""
    with contextlib.suppress(OSError):
        folders = [each for each in path.parent.iterdir() if each.is_dir()]
        beside = {each.name: each for each in folders}
        close = difflib.get_close_matches(path.name, beside, n=1)
        if close and not path.suffix:
            return f" Did you mean {str(beside[close[0]])!r}?"
    places = [path.parent, Path(__file__).parent / "configs"]
    names = {
        file.stem: file for folder in places for file in sorted(folder.glob("*.y*ml"))
    }
    close = difflib.get_close_matches(path.stem, names, n=1)
    return f" Did you mean {str(names[close[0]])!r}?" if close else ""


def _parse_value(override: str, text: str) -> Any:
    try:
        return strict_yaml.parse(text)
    except yaml.YAMLError:
        raise ConfigError(
            "`--set` takes a YAML value, quoted where it has to be. "
            f"Received: {override!r}"
        ) from None


def _assign(values: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        nested = values.setdefault(parent, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"`{parent}` in {dotted!r} holds a value, not keys.")
        values = nested
    values[last] = value
