"""Config of the data: its location and layout, the splits, and the tolerances."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from graft.contract import example_keys, split_names
from graft.contract.class_name import class_name_of

Percentage = Annotated[float, Field(ge=0, le=100)]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


FolderPaths = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class SplitFolders(BaseModel):
    """Paths of the split folders, relative to `path`. Each holds class folders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: FolderPaths = Field(
        min_length=1, description="One folder, or several that form one split."
    )
    validation: FolderPaths = Field((), description="See `validation_becomes`.")
    test: FolderPaths = Field((), description="Only the gate and the report read it.")

    @model_validator(mode="after")
    def _check_overlap(self) -> SplitFolders:
        paths = [
            path.strip("/") for path in (*self.train, *self.validation, *self.test)
        ]
        for first, second in itertools.permutations(paths, 2):
            if f"{second}/".startswith(f"{first}/"):
                raise ValueError(
                    "`split_folders` must not name a folder within another one. "
                    f"Received: {first!r} and {second!r}"
                )
        return self


class SplitPercentages(BaseModel):
    """Shares of the three splits in percent. They add up to 100."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Percentage = Field(80, description="Share that fits weights, in percent.")
    eval: Percentage = Field(
        10, description="Share that stops training early and tunes, in percent."
    )
    test: Percentage = Field(
        10, description="Share that only the gate and the report read, in percent."
    )

    @model_validator(mode="after")
    def _check_sum(self) -> SplitPercentages:
        total = self.train + self.eval + self.test
        if abs(total - 100) > 1e-6 or self.train <= 0:
            raise ValueError(
                "`splits` must add up to 100 with train above 0. "
                f"Received: train={self.train!r}, eval={self.eval!r}, "
                f"test={self.test!r} (sum {total:g})"
            )
        return self

    def of(self, split: str) -> float:
        """Return the percentage of `split`, one of `split_names.SPLITS`."""
        return {
            split_names.TRAIN_SPLIT: self.train,
            split_names.EVAL_SPLIT: self.eval,
            split_names.TEST_SPLIT: self.test,
        }[split]


class DataConfig(BaseModel):
    """The labelled images, and their splits train, eval and test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        min_length=1,
        description="A folder, a manifest (.csv, .tsv, .jsonl), TFRecord files (a "
        "file, a folder or a pattern with `*`), `keras:NAME` (cifar10, cifar100, "
        "mnist, fashion_mnist) or `sklearn:digits`. Local, gs:// or s3://.",
    )
    format: Literal[
        "auto",
        "folders",
        "pre_split",
        "tiny_imagenet",
        "roboflow",
        "csv",
        "jsonl",
        "tfrecord",
        "keras",
        "sklearn",
    ] = Field(
        "auto",
        description="The data's layout. `folders`: one folder per class. `pre_split`: "
        "folders train, validation (or val) and test that hold class folders. "
        "`tiny_imagenet`, `roboflow`: the layouts of these publishers. `auto` detects "
        "the layout. If several layouts are possible, the run stops and lists them.",
    )
    follow_links: bool = Field(
        False,
        description="Read symbolic links that lead out of the folder `path`. If false, "
        "such a link stops the run. Links within the folder are always read.",
    )
    split_folders: SplitFolders | None = Field(
        None,
        description="Split folders with other names than train, validation and test: "
        "`{train: seg_train/seg_train, test: seg_test/seg_test}`. Each holds class "
        "folders. Other folders are left aside.",
    )
    class_pattern: str | None = Field(
        None,
        description="Regular expression with a group `class` for an image's class, and "
        "optionally a group `split`. It must match the whole file name without "
        "extension: `(?P<class>.+)_\\d+`. An expression with a slash must match the "
        "whole path below `path`.",
    )
    image_folder: str | None = Field(
        None,
        description="Folder of a manifest's images, relative to the manifest's folder; "
        "by default that folder itself.",
    )
    splits: SplitPercentages = Field(
        default_factory=SplitPercentages,
        description="Shares of the splits, for images whose split is not given.",
    )
    validation_becomes: Literal["auto", "eval", "test"] = Field(
        "auto",
        description="The split that a given validation set becomes. `auto`: `eval` if "
        "there is a test set. Without one, `test`, because results are reported on the "
        "validation set then; `eval` is taken out of train.",
    )
    class_names: tuple[str, ...] | None = Field(
        None,
        description="Use only these classes; by default, all.",
    )
    label_fixes: FolderPaths = Field(
        (),
        description="Files with a person's decisions on single images, such as `graft "
        "report --labels` writes: relabel, drop, add or confirm them. One file or "
        "several. `graft run --labels` adds to them.",
    )
    similar_class_names: Literal["warn", "merge", "fail"] = Field(
        "warn",
        description="Action for classes whose names differ only in case, white space, "
        "separators, accents, invisible characters, forms of Unicode or look-alike "
        "letters: warn, merge them into the most frequent one, or stop.",
    )
    min_images_per_class: int = Field(
        3, ge=1, description="A class with fewer usable images stops the run."
    )
    max_bad_fraction: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Greatest share of unreadable images; above it the run stops.",
    )
    duplicate_label_policy: Literal["fail", "drop", "keep"] = Field(
        "fail",
        description="Action for an image with two labels: stop, drop all its copies, "
        "or keep one copy per label (all in the same split).",
    )
    leak_policy: Literal["drop_from_train", "fail"] = Field(
        "drop_from_train",
        description="Action for an image in two given splits: keep one copy (in test, "
        "otherwise in eval), or stop.",
    )
    max_pixels: int = Field(
        100_000_000,
        ge=1,
        description="Largest height times width of an image, in pixels. A larger image "
        "may be a decompression bomb, and is not decoded.",
    )
    max_file_bytes: int = Field(
        256 * 2**20,
        ge=1,
        description="Largest size of an image file in bytes. A larger one is not read.",
    )
    path_column: str = Field(
        "path", description="Manifest column with the image's path."
    )
    label_column: str = Field(
        "label", description="Manifest column with the class name."
    )
    split_column: str = Field(
        "split",
        description="Manifest column with the split; it may be missing or blank.",
    )
    tfrecord_image_key: str = Field(
        example_keys.IMAGE_KEY, description="Key of the encoded image in a tf.Example."
    )
    tfrecord_label_key: str = Field(
        example_keys.CLASS_NAME_KEY,
        description="Key of the class in a tf.Example: its name, or an integer.",
    )

    @field_validator("class_pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(
                f"`class_pattern` must be a regular expression, such as "
                f"(?P<class>.+)_\\d+: {error}. Received: {pattern!r}"
            ) from error
        if "class" not in groups:
            raise ValueError(
                "`class_pattern` must have a group (?P<class>...), such as "
                f"(?P<class>.+)_\\d+. Received: {pattern!r}"
            )
        return pattern

    @model_validator(mode="after")
    def _check_layout(self) -> DataConfig:
        allowed = {
            "split_folders": ("auto", "pre_split"),
            "class_pattern": ("auto", "folders", "pre_split"),
            "image_folder": ("auto", "csv", "jsonl"),
        }
        for name, formats in allowed.items():
            if getattr(self, name) is not None and self.format not in formats:
                raise ValueError(
                    f"`{name}` needs `format` to be one of {', '.join(formats)}. "
                    f"Received: format={self.format!r}. Leave one of the two out"
                )
        return self

    @field_validator("class_names")
    @classmethod
    def _compose(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Normalise the names as ingestion normalises those of the data."""
        return None if names is None else tuple(map(class_name_of, names))
