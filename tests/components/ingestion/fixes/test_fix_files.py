"""Files of label fixes before a run: one order, and no two rows that disagree."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.fixes.fix_files import choose_fix_files
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError

HASH = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two files that decide and one that doesn't."""
    monkeypatch.chdir(tmp_path)
    Path("b.csv").write_text("path,new_label\n1.png,cat\n")
    Path("a.csv").write_text("path,new_label\n2.png,dog\n")
    Path("open.csv").write_text("path,new_label\n3.png,\n4.png,\n")
    Path("sub").mkdir()
    return tmp_path


def test_order_spelling_and_open_files_make_no_other_choice(folder: Path) -> None:
    for names in itertools.permutations(["a.csv", "sub/../b.csv", "open.csv"]):
        chosen = choose_fix_files([*names, str(folder / "a.csv")])
        assert chosen.paths == ("a.csv", "b.csv")
        assert chosen.undecided == {"open.csv": 2}


def test_a_file_elsewhere_is_named_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("sub")
    assert choose_fix_files(["../a.csv"]).paths == (str(folder / "a.csv"),)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of a file that is no image: nothing may read it."""
    photos = tmp_path / "photos"
    for name in ("cat/1.png", "dog/2.png"):
        (photos / name).parent.mkdir(parents=True)
        (photos / name).write_bytes(b"no image")
    return photos


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("1.png,,dog,,", "1.png,,cat,,", "'1.png' is a 'cat', and is a 'dog'"),
        ("1.png,drop,,,", "1.png,keep,,dog,", "a 'dog', and is to be dropped"),
        (f"1.png,,dog,,{HASH}", f"2.png,,cat,,{HASH}", "'2.png' is a 'cat', and"),
        (f",,dog,,{HASH}", f",drop,,,{HASH}", "is to be dropped, and is a 'dog'"),
    ],
)
@pytest.mark.parametrize("num_files", [1, 2])
def test_rows_that_disagree_are_found_without_an_image(
    tmp_path: Path, photos: Path, one: str, other: str, told: str, num_files: int
) -> None:
    header = "path,action,new_label,label,content_hash"
    rows = [[one, other]] if num_files == 1 else [[one], [other]]
    names = []
    for number, lines in enumerate(rows):
        names.append(str(tmp_path / f"{number}.csv"))
        Path(names[-1]).write_text("\n".join([header, *lines]) + "\n")
    config = DataConfig(path=str(photos), label_fixes=tuple(names))
    with pytest.raises(DataError, match="contradict each other") as caught:
        fingerprint(config)
    assert told in str(caught.value)
    assert str(caught.value).count(", line ") == 2


def test_rows_that_may_agree_pass(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "fixes.csv"
    rows = ["1.png,keep,,", "1.png,,dog,cat", "1.png,keep,,dog"]
    path.write_text("\n".join(["path,action,new_label,label", *rows]) + "\n")
    assert fingerprint(DataConfig(path=str(photos), label_fixes=str(path)))
