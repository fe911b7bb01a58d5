"""Every config that a question prints reads the data, with the printed counts."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.folder_counts import count_folders
from graft.components.ingestion.folder_names import role_of
from graft.components.ingestion.layout_answers import (
    ROLES,
    Option,
    Question,
    describe_classes,
    settings_as_arguments,
)
from graft.components.ingestion.layout_detection import detect_layout
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.source import Listing
from graft.contract.counts import counted
from graft.pipeline.config import load_config

_TOPS = "train test val valid part_a part_b animals things cat images masks a b x"
_INNER = "cat dog cup pen owl images train test seg_train 2021 session1 a b"
_FOLDERS = st.one_of(
    st.tuples(st.sampled_from(_TOPS.split())),
    *(
        st.tuples(
            st.sampled_from(_TOPS.split()),
            *(st.sampled_from(_INNER.split()) for _ in range(depth)),
        )
        for depth in (1, 2, 3)
    ),
).map("/".join)
_FILES = st.sampled_from(
    [
        ["{}.jpg"],
        ["Bär {}.webp"],
        ["cat_{}.jpg", "dog_{}.png"],
        ["a1.{}.jpg", "b.{}.jpg"],
    ]
)
_IMAGES = st.builds(
    lambda folder, files, numbers: {
        f"{folder}/{file.format(n)}" for file in files for n in numbers
    },
    _FOLDERS,
    _FILES,
    st.sets(st.integers(0, 9), min_size=1, max_size=4),
)
_NOISE = st.lists(
    st.sampled_from(["README.md", "stray.jpg", "masks/1.txt", "annotations/1.xml"]),
    max_size=2,
)


def _read(root: Path, option: Option) -> tuple[DataConfig, Listing]:
    """Use the option as a user copies it from the terminal."""
    words = shlex.split(settings_as_arguments(option, str(root)))
    given = list(zip(words[::2], words[1::2], strict=True))
    (data,) = [value for name, value in given if name == "--data"] or [str(root)]
    overrides = [value for name, value in given if name == "--set"]
    config = load_config(None, data=data, overrides=overrides).data
    return config, list_images(config, "unused")


def _require_counts(root: Path, option: Option) -> None:
    config, listing = _read(root, option)
    classes = Counter(ref.class_name for ref in listing.refs)
    assert describe_classes(classes) in option.meaning
    splits = re.search(r"splits: (.*?);", option.meaning)
    if splits:
        given = config.split_folders.model_dump() if config.split_folders else {}
        read = Counter(
            next(
                (
                    role
                    for role, paths in given.items()
                    if any(ref.name.startswith(f"{path}/") for path in paths)
                ),
                role_of(ref.name.split("/")[0]),
            )
            for ref in listing.refs
        )
        told = ", ".join(
            f"{role} {counted(read[role], 'image')}" for role in ROLES if read[role]
        )
        assert told == splits[1]
    left = re.search(r"left aside: (\d+)$", option.meaning)
    if left:
        files = [path for path in Path(config.path).rglob("*.*g") if path.is_file()]
        files += Path(config.path).rglob("*.webp")
        assert len(files) - len(listing.refs) == int(left[1])


@settings(max_examples=200, deadline=None)
@given(st.lists(_IMAGES, min_size=1, max_size=8), _NOISE)
def test_every_printed_config_reads_what_it_says(
    groups: list[set[str]], noise: list[str]
) -> None:
    names = {*set().union(*groups), *noise}
    question = detect_layout(count_folders(names))
    if not isinstance(question, Question):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        for option in question.options:
            _require_counts(Path(folder), option)


def test_counts_name_classes_as_ingestion_does() -> None:
    counts = {"Ba\u0308r": 2, "B\u00e4r ": 1, "dog": 3, "\n": 1}
    assert describe_classes(counts) == "3 classes: '\\n (1)', 'Bär (3)', 'dog (3)'"
