"""Fields of names are offered one by one; names of several words are not."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.names.name_fields import field_patterns
from graft.contract.errors import DataError
from graft.pipeline.config import load_config


def _names(form: str, *fields: str, number: int = 3) -> list[str]:
    """Return names of all values of some fields, with a running number."""
    rows = product(*(values.split() for values in fields), range(number))
    return [
        form.format(*row[:-1], n=f"{1000 + index}") for index, row in enumerate(rows)
    ]


_UTKFACE = _names("{}_{}_{}_2017{n}.chip", "1 25 60", "0 1", "0 3")
_JAFFE = _names("{}.{}1.{n}", "KA KL", "AN HA SA")
_RAVDESS = _names("{}-{}-{n}", "01 02", "03 04 05")
_COCO = _names("COCO_{}_{}_{n}", "train2014 val2014", "cat dog")
_COCO_LAST = _names("{}_img_{n}_{}", "train test", "cat dog")


@pytest.mark.parametrize(
    ("names", "readings"),
    [
        (_UTKFACE, [{"1", "25", "60"}, {"0", "1"}, {"0", "3"}]),
        (_JAFFE, [{"KA", "KL"}, {"AN", "HA", "SA"}]),
        (_RAVDESS, [{"01", "02"}, {"03", "04", "05"}]),
        (_COCO, [{"cat", "dog"}]),
        (_COCO_LAST, [{"cat", "dog"}]),
    ],
)
def test_each_field_is_read(names: list[str], readings: list[set[str]]) -> None:
    found = []
    for pattern, _ in field_patterns(names):
        matches = [re.fullmatch(pattern, name) for name in names]
        found.append(Counter(match and match["class"] for match in matches))
    assert [set(each) for each in found] == readings
    assert all(each.total() == len(names) for each in found)


@pytest.mark.parametrize(
    "names",
    [
        [f"{breed}_{n}" for breed in ("Great_Dane", "Saint_Bernard") for n in range(9)],
        [f"{top}_{n}" for top in ("cat", "dog") for n in range(9)],
        _names("{}_{}_{n}", "cat dog", "left right"),
        _names("{}_{}_{n}", "cat dog", "thumb small"),
        [f"{n}_{n}_{n}" for n in range(9)],
        [f"big_cat_{n}" for n in range(9)] + [f"pug_{n}" for n in range(9)],
        [],
        [""],
    ],
)
def test_other_names_have_no_such_fields(names: list[str]) -> None:
    assert field_patterns(names) == []


@pytest.mark.parametrize("names", [_UTKFACE, _JAFFE, _COCO])
def test_the_printed_options_read_all_images(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / f"{name}.jpg").touch()
    with pytest.raises(DataError) as asked:
        list_images(load_config(None, data=str(tmp_path), overrides=[]).data, "")
    options = re.findall(r"^  \d\. --set (.*)$", str(asked.value), re.MULTILINE)
    assert options
    for option in options:
        settings = shlex.split(option)
        config = load_config(None, data=str(tmp_path), overrides=settings)
        assert len(list_images(config.data, "").refs) == len(names)
