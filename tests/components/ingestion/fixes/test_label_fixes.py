"""Label fixes on a data set: what they change, what they refuse, what is told."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from graft.components.ingestion import copy_search
from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.fixes.applied_fixes import (
    FIXES_FILE,
    AppliedFixes,
    read_applied_fixes,
)
from graft.components.ingestion.sources.config import DataConfig
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError

Fixed = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path, write_photos: Callable[..., Path]) -> Path:
    """Three classes of twelve images."""
    return write_photos(tmp_path / "photos", ("cat", "dog", "owl"), 12)


@pytest.fixture
def fix(tmp_path: Path, photos: Path, run_ingestion: Callable[..., Any]) -> Fixed:
    """Ingest with lines of label fixes; return label by file name, and the record."""

    def run(
        *lines: str, header: str = "path,action,new_label", **fields: Any
    ) -> tuple[dict[str, str], AppliedFixes]:
        path = tmp_path / "fixes.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        fields = {"path": photos, "label_fixes": [str(path)], **fields}
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        result = run_ingestion(fields.pop("path"), **fields)
        run.result = result  # type: ignore[attr-defined]
        applied = read_applied_fixes(result.outputs.examples)
        assert applied is not None
        return _labels(result), applied

    return run


def _labels(result: Any) -> dict[str, str]:
    return {
        example[example_keys.FILENAME_KEY].decode(): example[
            example_keys.CLASS_NAME_KEY
        ].decode()
        for split in split_names.SPLITS
        for example in result.examples(split, "metadata")
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_images_are_relabelled_dropped_added_and_confirmed(
    fix: Fixed, photos: Path, tmp_path: Path, make_image: Callable[..., bytes]
):
    (tmp_path / "new.png").write_bytes(make_image(999))
    labels, applied = fix(
        "cat/000.png,,dog,Anna",
        f"{photos}/cat/001.png,relabel,owl,Anna",
        "dog\\000.png,drop,,",
        "owl/000.png,keep,,Ben",
        "new.png,add,dog,",
        "owl/001.png,,,",
        header="path,action,new_label,by",
    )
    assert labels["cat/000.png"] == "dog"
    assert labels["cat/001.png"] == "owl"
    assert "dog/000.png" not in labels
    assert labels["owl/000.png"] == labels["owl/001.png"] == "owl"
    assert labels["new.png"] == "dog"
    assert len(labels) == 36
    counts = {
        "relabelled": 2,
        "dropped": 1,
        "added": 1,
        "confirmed": 1,
        "not_in_data": 0,
    }
    assert applied.counts == counts
    assert applied.by == {"": 2, "Anna": 2, "Ben": 1}
    assert applied.changes == [
        {"before": "cat", "after": "dog", "count": 1},
        {"before": "cat", "after": "owl", "count": 1},
    ]
    assert sum(applied.splits.values()) == 5
    (file,) = applied.files
    assert (file["rows"], file["undecided"]) == (6, 1)
    assert file["sha256"] == _hash(tmp_path / "fixes.csv")
    assert _hash(photos / "owl" / "000.png") in applied.confirmed_hashes
    assert _hash(photos / "dog" / "000.png") not in applied.confirmed_hashes
    warning = fix.result.summary["warnings"][0]  # type: ignore[attr-defined]
    assert warning.startswith(
        "Label fixes of 'fixes.csv': 2 relabelled, 1 dropped, 1 added, 1 confirmed"
    )
    assert warning.endswith("1 row without a decision.")


def test_a_content_hash_names_all_copies_wherever_they_lie(fix: Fixed, photos: Path):
    for name in ("cat/copy.png", "dog/copy.png"):
        shutil.copy(photos / "cat" / "003.png", photos / name)
    wanted = _hash(photos / "cat" / "003.png")
    # Without the fix, the copies under two labels stop the run.
    with pytest.raises(DataError, match="under more than one label"):
        fix("owl/000.png,keep,")
    labels, applied = fix(f"{wanted},owl", header="content_hash,new_label")
    assert labels["cat/003.png"] == "owl"
    assert not {"cat/copy.png", "dog/copy.png"} & labels.keys()
    assert applied.fixes[0]["copies"] == 3
    # Found by its path, and the copies by their size.
    row = f"cat/003.png,{wanted},owl"
    labels, by_both = fix(row, header="path,content_hash,new_label")
    assert by_both.fixes[0]["copies"] == 3
    assert labels["cat/003.png"] == "owl"
    _, by_both = fix(f"moved/x.png,{wanted},owl", header="path,content_hash,new_label")
    assert by_both.fixes[0]["filename"] == applied.fixes[0]["filename"]


def test_a_path_names_one_file_alone(fix: Fixed, photos: Path):
    shutil.copy(photos / "cat" / "003.png", photos / "cat" / "copy.png")
    with pytest.raises(DataError, match=r"under more than one label.*labels 'cat', 'd"):
        fix("cat/003.png,,dog")


def test_only_files_that_a_fix_may_mean_are_hashed(
    fix: Fixed, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    for index, file in enumerate(sorted(photos.glob("*/*.png"))):
        file.write_bytes(file.read_bytes() + bytes(index))  # no two of one size
    hashed: list[str] = []
    hash_one = copy_search._HashImagesFn._hash

    def counting(self: Any, ref: Any) -> str:
        hashed.append(ref.name)
        return hash_one(self, ref)

    monkeypatch.setattr(copy_search._HashImagesFn, "_hash", counting)
    header = "path,content_hash,new_label"
    fix(f"cat/005.png,{_hash(photos / 'cat' / '005.png')},dog", header=header)
    assert hashed == ["cat/005.png"]
    hashed.clear()
    fix(f"gone.png,{_hash(photos / 'cat' / '005.png')},dog", header=header)
    assert len(hashed) == 36


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["cat/000.png,,dgo"], "no class 'dgo'.* Did you mean 'dog'?"),
        (["cat/000.png,,Dog"], "no class 'Dog'.* Did you mean 'dog'?"),
        (["gone.png,,dgo", "cat/000.png,keep,"], "no class 'dgo'"),
        (["cat/000.png,new class,lynx"], "Each class needs at least.*.lynx. .1"),
        (["cat/000.png,new class,1.5"], "`new_label` is a number with a fraction"),
        (["cat/000.png,,dog", "cat/000.png,,owl"], "line 3 and .*line 2 contradict"),
        (["cat/000.png,keep,", "cat\\000.png,drop,"], "contradict each other"),
        (["cat\\000.png,keep,", "./cat/000.png,,owl"], "contradict each other"),
        (["./cat/000.png,drop,", "cat//000.png,,dog"], "contradict each other"),
        (["new.png,add,dog", "new.png,,cat"], "contradict each other"),
        (["new.png,add,dog", "cat/000.png,keep,", "./new.png,drop,"], "contradict"),
        (["none.png,drop,"], "names no image of the data"),
        (["none.png,add,cat"], "must name the image to add"),
    ],
)
def test_a_fix_that_may_be_a_mistake_stops(
    fix: Fixed,
    tmp_path: Path,
    make_image: Callable[..., bytes],
    lines: list[str],
    message: str,
):
    (tmp_path / "new.png").write_bytes(make_image(999))
    with pytest.raises(DataError, match=message):
        fix(*lines)


def test_rows_that_agree_count_once(fix: Fixed, photos: Path):
    header = "path,content_hash,new_label"
    wanted = _hash(photos / "cat" / "000.png")
    lines = ("cat/000.png,,dog", f",{wanted},dog")
    _, applied = fix(*lines, header=header)
    assert applied.counts["relabelled"] == 1


def test_spellings_of_one_path_that_agree_are_all_found(fix: Fixed):
    labels, applied = fix("cat\\000.png,,dog", "./cat/000.png,,dog")
    assert labels["cat/000.png"] == "dog"
    assert applied.counts["relabelled"] == 1
    assert applied.counts["not_in_data"] == 0


def test_a_row_about_an_added_image_is_found(
    fix: Fixed, tmp_path: Path, make_image: Callable[..., bytes]
):
    (tmp_path / "new.png").write_bytes(make_image(999))
    labels, applied = fix("new.png,add,dog", "new.png,,dog", ".\\new.png,keep,")
    assert labels["new.png"] == "dog"
    assert applied.counts["added"] == 1
    assert applied.counts["not_in_data"] == 0


def test_an_empty_class_folder_may_be_filled_by_fixes(fix: Fixed, photos: Path):
    (photos / "lynx").mkdir()
    rows = [f"cat/{number:03d}.png,,lynx" for number in range(5)]
    labels, _ = fix(*rows)
    assert list(labels.values()).count("lynx") == 5
    (photos / "newt").mkdir()
    with pytest.raises(DataError, match=r"newt. .0"):
        fix(*rows)


def test_path_and_hash_of_two_images_stop(fix: Fixed, photos: Path):
    header = "path,content_hash,new_label"
    other = _hash(photos / "owl" / "000.png")
    with pytest.raises(DataError, match=r"different images.*'owl/000\.png'"):
        fix(f"cat/000.png,{other},dog", header=header)
    with pytest.raises(DataError, match="is not that of `content_hash`: the file was"):
        fix(f"cat/000.png,{'0' * 64},dog", header=header)


def test_a_label_that_changed_since_stops(fix: Fixed, photos: Path):
    header = "path,label,action,new_label"
    with pytest.raises(DataError, match="is 'cat' now, and was 'owl' when"):
        fix("cat/000.png,owl,,dog", header=header)
    with pytest.raises(DataError, match="is 'cat' now, and was 'owl' when"):
        fix("cat/000.png,owl,keep,", header=header)
    # The file was moved into the folder of its new label since.
    _, applied = fix("cat/000.png,owl,,cat", header=header)
    assert applied.counts["confirmed"] == 1


def test_an_image_that_is_gone_is_told(fix: Fixed):
    _, applied = fix("gone/1.png,drop,", "cat/000.png,keep,")
    assert applied.counts["not_in_data"] == 1
    told = fix.result.summary["warnings"]  # type: ignore[attr-defined]
    assert any("Not in the data: the images of 1 row" in each for each in told)
    assert any("'gone/1.png'" in each and "line 2" in each for each in told)


def test_a_new_class_is_declared_once(fix: Fixed):
    rows = ["cat/000.png,new class,lynx"]
    rows += [f"cat/00{number}.png,,lynx" for number in range(1, 5)]
    labels, applied = fix(*rows)
    assert list(labels.values()).count("lynx") == 5
    assert applied.changes == [{"before": "cat", "after": "lynx", "count": 5}]
    with pytest.raises(DataError, match="no class 'lynx'"):
        fix(*rows[1:])


def test_a_class_that_fixes_empty_stops_unless_it_is_meant(fix: Fixed):
    rows = [f"owl/{number:03d}.png,,dog" for number in range(12)]
    with pytest.raises(DataError, match="leave no image of 'owl'"):
        fix(*rows)
    labels, _ = fix(*rows, class_names=["cat", "dog"])
    assert sorted(set(labels.values())) == ["cat", "dog"]


def test_an_added_image_never_joins_a_given_test_set(
    fix: Fixed, tmp_path: Path, photos: Path, make_image: Callable[..., bytes]
):
    """A test set that someone gave must not change by hash."""
    split = tmp_path / "split"
    shutil.copytree(photos, split / "train")
    for name in ("cat", "dog", "owl"):
        (split / "test" / name).mkdir(parents=True)
        for number in range(3):
            image = make_image(5000 + number + 10 * ord(name[0]))
            (split / "test" / name / f"t{number}.png").write_bytes(image)
    rows = []
    for number in range(40):
        (tmp_path / f"n{number}.png").write_bytes(make_image(7000 + number))
        rows.append(f"n{number}.png,add,cat")
    fix(*rows, path=split)
    names = fix.result.splits_by_name()  # type: ignore[attr-defined]
    added = {names[f"n{number}.png"] for number in range(40)}
    assert added == {"train", "eval"}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "tfrecord", "sklearn"])
def test_fixes_hold_for_every_kind_of_data(
    kind: str, fix: Fixed, tmp_path: Path, photos: Path
):
    images = sorted(photos.glob("*/*.png"))
    name, path = "photos/cat/000.png", tmp_path / f"data.{kind}"
    rows = [(f"photos/{p.parent.name}/{p.name}", p.parent.name) for p in images]
    if kind == "csv":
        path.write_text("path,label\n" + "".join(f"{p},{c}\n" for p, c in rows))
    elif kind == "jsonl":
        lines = [json.dumps({"path": p, "label": c}) for p, c in rows]
        path.write_text("\n".join(lines))
    elif kind == "tfrecord":
        name = "data.tfrecord:0"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for image in images:
                example = tf.train.Example()
                feature = example.features.feature
                for key, value in (
                    (example_keys.IMAGE_KEY, image.read_bytes()),
                    (example_keys.CLASS_NAME_KEY, image.parent.name.encode()),
                ):
                    feature[key].bytes_list.value.append(value)
                writer.write(example.SerializeToString())
    else:
        labels, _ = fix("digits/0/00000.png,,8", path="sklearn:digits")
        assert labels["digits/0/00000.png"] == "8"
        return
    labels, _ = fix(f"{name},,dog", path=path)
    assert labels[name] == "dog"
    assert list(labels.values()).count("cat") == 11


def test_one_name_of_several_records_needs_a_hash(
    fix: Fixed, tmp_path: Path, photos: Path
):
    path = tmp_path / "data.tfrecord"
    images = sorted(photos.glob("*/*.png"))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image in images:
            example = tf.train.Example()
            for key, value in (
                (example_keys.IMAGE_KEY, image.read_bytes()),
                (example_keys.CLASS_NAME_KEY, image.parent.name.encode()),
                (example_keys.FILENAME_KEY, image.name.encode()),
            ):
                example.features.feature[key].bytes_list.value.append(value)
            writer.write(example.SerializeToString())
    with pytest.raises(DataError, match=r"'000\.png' is the name of 3 images"):
        fix("000.png,,dog", path=path)
    row = f"000.png,{_hash(photos / 'cat' / '000.png')},dog"
    _, applied = fix(row, path=path, header="path,content_hash,new_label")
    assert applied.changes == [{"before": "cat", "after": "dog", "count": 1}]


def test_the_fingerprint_tells_the_fixes(
    photos: Path, tmp_path: Path, make_image: Callable[..., bytes]
):
    path, new = tmp_path / "fixes.csv", tmp_path / "new.png"
    config = DataConfig(path=str(photos), label_fixes=str(path))
    new.write_bytes(make_image(1))
    path.write_text("path,action,new_label\nnew.png,add,dog\n")
    found = [fingerprint(DataConfig(path=str(photos))), fingerprint(config)]
    new.write_bytes(make_image(2) + b"x")
    found.append(fingerprint(config))
    path.write_text("path,action,new_label\nnew.png,add,cat\n")
    found.append(fingerprint(config))
    assert len(set(found)) == 4
    path.write_text("path,action,new_label\nnew.png,ad,cat\n")
    with pytest.raises(DataError, match="`action` must be"):
        fingerprint(config)


def test_a_run_without_fixes_has_no_record(
    run_ingestion: Callable[..., Any], photos: Path
):
    result = run_ingestion(photos)
    assert read_applied_fixes(result.outputs.examples) is None
    assert not Path(result.outputs.examples, FIXES_FILE).exists()


def test_the_fingerprint_is_that_of_the_decisions(photos: Path, tmp_path: Path):
    """Neither order, nor a file without decisions, nor its form make other data."""
    path, blank = tmp_path / "fixes.csv", tmp_path / "blank.csv"
    blank.write_text("path,action,new_label\ncat/000.png,,\n")

    def found(*files: Path) -> str:
        return fingerprint(
            DataConfig(path=str(photos), label_fixes=tuple(map(str, files)))
        )

    assert found() == found(blank)
    other = tmp_path / "other.csv"
    other.write_text("path,new_label\ncat/001.png,dog\n")
    fingerprints = []
    for content in (
        "path,action,new_label\ncat/000.png,,dog\n",
        "\ufeffpath;note;action;new_label\r\ncat/000.png;x;relabel;dog\r\n",
        "path,action,new_label\ncat/000.png,,owl\n",
    ):
        path.write_text(content, encoding="utf-8", newline="")
        fingerprints.append(found(path, other))
        assert found(other, blank, path) == fingerprints[-1]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
