"""Further columns that matter are told; features of the images are not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig


def _warnings(folder: Path, column: str, values: Iterable[str]) -> list[str]:
    lines = [
        f"{n}.jpg,{('cat', 'dog')[n % 2]},{value}" for n, value in enumerate(values)
    ]
    (folder / "m.csv").write_text("\n".join([f"path,label,{column}", *lines]))
    return list_images(DataConfig(path=str(folder / "m.csv")), "").warnings


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("test", "10001000", "may say the split"),
        ("train", "01110111", "may say the split"),
        ("Validation", ["True", "False"] * 4, "may say the split"),
        ("mode", ["fit", "fit", "holdout", "fit"] * 2, "holds names of splits"),
        ("role", ["tr", "tr", "te", "tr"] * 2, "holds names of splits"),
        ("purpose", ["learn", "learn", "assess"] * 3, "holds names of splits"),
        ("dataset", ["ours", "ours", "test"] * 3, "may say the split"),
        ("phase", ["A", "A", "training", "B"] * 2, "may say the split"),
        ("role", ["tr", "te", "te"] * 3, "write train, val or test into a column"),
        ("role", ["train", "test"] * 3, "set `data.split_column: role`"),
        ("label2", ["dog", "cat"] * 4, "holds labels, too. In 8 lines"),
        ("second_label", ["cat", "dog", "cat", "cat"], "In 1 line it has another one"),
        ("patient_id", "aabbccdd", "4 groups in 8 lines"),
        ("PatientID", "aabbccdd", "4 groups in 8 lines"),
        ("lesion_id", "aaabbbcc", "3 groups in 8 lines"),
        ("video", "aaaabbbb", "2 groups in 8 lines"),
        ("MRN", "aabbccdd", "4 groups in 8 lines"),
        ("StudyInstanceUID", "aabbccdd", "4 groups in 8 lines"),
        ("SeriesInstanceUID", "aabbccdd", "4 groups in 8 lines"),
        ("Patientennummer", "aabbccdd", "4 groups in 8 lines"),
        ("患者ID", "aabbccdd", "4 groups in 8 lines"),
        ("serial_number", "aabbccdd", "4 groups in 8 lines"),
        ("wafer_id", "aabbccdd", "4 groups in 8 lines"),
        ("source_image", "aabbccdd", "4 groups in 8 lines"),
        ("group", "aabbccdd", "4 groups in 8 lines"),
    ],
)
def test_columns_that_matter_are_told(
    tmp_path: Path, column: str, values: Iterable[str], told: str
) -> None:
    (warning,) = _warnings(tmp_path, column, values)
    assert repr(column) in warning
    assert told in warning


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("test", ["blood", "urine"] * 4),
        ("age", "12121212"),
        ("label_copy", ["cat", "dog"] * 4),
        ("colour", ["cat", "red"] * 4),
        ("patient_id", "abcdefgh"),
        ("patient_id", "aaaaaaaa"),
        ("camera", "aabbccdd"),
        ("mode", ["bright", "dark", "dark"] * 3),
        ("dataset", ["ours", "theirs", "ours"] * 3),
        ("language", ["tr", "te", "de"] * 3),
        ("state", ["fit", "fit", "unfit"] * 3),
        ("source", ["web", "web", "test"] * 3),
    ],
)
def test_features_are_not_told(
    tmp_path: Path, column: str, values: Iterable[str]
) -> None:
    assert _warnings(tmp_path, column, values) == []


@pytest.mark.parametrize(("is_across", "number"), [(True, 1), (False, 0)])
def test_groups_in_several_splits_are_told(
    tmp_path: Path, is_across: bool, number: int
) -> None:
    patients = "aabb" if is_across else "abab"
    lines = [
        f"{n}.jpg,{('cat', 'dog')[n // 2]},{split},{patients[n]}"
        for n, split in enumerate(("train", "test", "train", "test"))
    ]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,split,patient", *lines]))
    found = list_images(DataConfig(path=str(tmp_path / "m.csv")), "").warnings
    assert sum("have images in several splits" in each for each in found) == number
