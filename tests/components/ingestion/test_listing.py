"""Bad input and its messages; layouts of folders."""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from graft.components.ingestion import listing
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.summary import select_classes
from graft.contract.errors import DataError

Make = Callable[..., Any]

ALL = ("train", "eval", "test")


def _touch(root: Path, *names: str) -> Path:
    """Create files; listing reads none of them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def _classes(root: Path, prefix: str = "", number: int = 3) -> Path:
    names = [f"{prefix}{c}/{i}.png" for c in ("cat", "dog") for i in range(number)]
    return _touch(root, *names)


def _list(path: object, **fields: Any) -> Listing:
    return list_images(DataConfig(path=str(path), **fields), "unused")


def _splits(listing: Listing) -> dict[str, tuple[str, ...]]:
    return {ref.name: ref.splits for ref in listing.refs}


def _empty(root: Path) -> None:
    root.mkdir()


def _no_folder(root: Path) -> None:
    pass


def _only_hidden(root: Path) -> None:
    _touch(root, "cat/.hidden.jpg", "cat/Thumbs.db", ".DS_Store", ".git/cat/1.jpg")


def _one_class(root: Path) -> None:
    _touch(root, "cat/1.png", "cat/2.png", "cat/3.png")


def _one_folder_too_high(root: Path) -> None:
    _classes(root, "pets/")


def _small_class(root: Path) -> None:
    _touch(_classes(root), "emu/1.png", "emu/2.png")


def _empty_class(root: Path) -> None:
    (_classes(root) / "emu").mkdir()


def _no_class_folders(root: Path) -> None:
    _touch(root, "1.jpg", "2.jpg")


def _only_sidecars(root: Path) -> None:
    _touch(root, "cat/notes.txt", "dog/labels.csv")


def _symlink_loop(root: Path) -> None:
    (_classes(root) / "cat" / "again").symlink_to(root)


def _splits_or_classes(root: Path) -> None:
    _classes(_classes(_classes(root, "train/"), "test/"), "holiday/")


def _two_validations(root: Path) -> None:
    _classes(_classes(_classes(root, "train/"), "val/"), "validation/")


def _control_character(root: Path) -> None:
    _touch(_classes(root), "e\nmu/1.png")


def _file(root: Path) -> None:
    root.write_text("?")


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [
        (
            _no_folder,
            {},
            r"must name an existing folder.*Received: path='.*data'.*exists",
        ),
        (_empty, {}, r"is empty\. Put one folder per class into it"),
        (
            _only_hidden,
            {},
            r"holds only 2 hidden, 1 of Windows, 1 of macOS\. Put one folder per",
        ),
        (_one_class, {}, r"At least two classes are needed\. Received: only 'cat'"),
        (
            _one_folder_too_high,
            {},
            r"Only one class, 'pets'.*'cat', 'dog'.*`data\.path`.*pets'",
        ),
        (_small_class, {}, r"_class` = 3 image files. Received: 'emu' \(2\)"),
        (_empty_class, {}, r"Received: 'emu' \(0\)"),
        (_no_class_folders, {}, r"No class folders: 2 files directly in"),
        (
            _only_sidecars,
            {},
            r"No images were found.*Left aside: 1 \.csv, 1 \.txt\.$",
        ),
        (_symlink_loop, {}, r"symbolic link leads back.*Remove the link"),
        (
            _splits_or_classes,
            {},
            r"folders lie beside them: 'holiday'.*data\.format=folders",
        ),
        (_two_validations, {}, r"'val', 'validation' are the same split"),
        (_classes, {"format": "pre_split"}, r"needs a folder train.*'cat', 'dog'"),
        (_control_character, {}, r"without line breaks.*Received: 'e\\nmu'"),
        (_file, {}, r"must name a folder of class folders.*Received: .*data'"),
        (_classes, {"class_names": ("cat", "dgo")}, r"'dgo'.*Did you mean 'dog'\?"),
        (_classes, {"class_names": ("cat",)}, r"At least two classes"),
        (_classes, {"min_images_per_class": 4}, r"= 4 .*'cat' \(3\), 'dog' \(3\)"),
        (_classes, {"format": "tfrecord"}, r"is not a TFRecord file"),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_") or None,
)
def test_bad_folders(
    tmp_path: Path, make: Callable[[Path], None], fields: dict[str, Any], message: str
):
    make(tmp_path / "data")
    config = DataConfig(path=str(tmp_path / "data"), **fields)
    with pytest.raises(DataError, match=f"(?s){message}"):
        select_classes(list_images(config, str(tmp_path)), config)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "keras:cifar11",
            r"one of sklearn:digits, keras:cifar10.*cifar11.*mean 'keras:cifar10'\?",
        ),
        ("nowhere.csv", r"must name a CSV manifest.*is not a file"),
        ("nowhere.tfrecord", r"must name TFRecord files.*has none"),
        ("nowhere/*.tfrecord", r"must name TFRecord files.*has none"),
    ],
)
def test_paths_of_nothing(tmp_path: Path, path: str, message: str):
    if ":" not in path:
        path = str(tmp_path / path)
    with pytest.raises(DataError, match=message):
        _list(path)


def test_a_folder_that_must_not_be_read(unprivileged: Path):
    root = _classes(unprivileged / "data")
    (root / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match=r"cat' can't be listed: Permission denied"):
            _list(root)
    finally:
        (root / "cat").chmod(0o755)


def test_files_that_systems_leave_behind_are_not_seen(tmp_path: Path):
    root = _classes(tmp_path / "data")
    _touch(root, "cat/.DS_Store", "cat/Thumbs.db", "cat/desktop.ini", "cat/._0.png")
    _touch(root, "__MACOSX/cat/0.png", ".git/x/1.png", "dog/notes.TXT", "dog/0.xmp")
    listing = _list(root)
    assert len(listing.refs) == 6
    assert listing.ignored == {
        ".txt": 1, ".xmp": 1, "hidden": 1, "of macOS": 3, "of Windows": 2
    }  # fmt: skip


def test_unusual_extensions_are_tried(tmp_path: Path):
    root = _touch(_classes(tmp_path / "data"), "cat/noextension", "cat/photo.JPG.1")
    assert {"cat/noextension", "cat/photo.JPG.1"} <= set(_splits(_list(root)))


def test_folders_in_classes_are_named_those_of_programs_first(tmp_path: Path):
    root = _classes(tmp_path / "data")
    _touch(root, "cat/a/1.png", "cat/plots/roc.png", "dog/b/1.png", "dog/b/2.png")
    listing = _list(root)
    assert (
        "The classes 'cat', 'dog' hold folders: 'plots', 'a', 'b'. The images in them "
        "count as images of the class." in listing.warnings
    )


def test_nested_folders_count_for_their_class(tmp_path: Path):
    root = _touch(_classes(tmp_path / "data"), "cat/studio/a/1.png", "dog/street/2.png")
    listing = _list(root)
    found = {ref.name: (ref.class_name, ref.source) for ref in listing.refs}
    assert found["cat/studio/a/1.png"] == ("cat", "studio")
    assert found["dog/street/2.png"] == ("dog", "street")
    assert found["dog/1.png"] == ("dog", "data")
    assert any("The classes 'cat', 'dog' hold folders" in w for w in listing.warnings)


def test_images_without_a_class_are_warned_of(tmp_path: Path):
    listing = _list(_touch(_classes(tmp_path / "data"), "stray.jpg"))
    assert len(listing.refs) == 6
    assert any("1 file directly in" in w and "stray.jpg" in w for w in listing.warnings)


def test_linked_folders_are_followed(tmp_path: Path):
    root = _classes(tmp_path / "data")
    _touch(tmp_path / "elsewhere", "1.png", "2.png", "3.png")
    (root / "emu").symlink_to(tmp_path / "elsewhere")
    (root / "gnu").symlink_to(tmp_path / "elsewhere")  # twice, but no loop
    counts = Counter(ref.class_name for ref in _list(root, follow_links=True).refs)
    assert counts == {"cat": 3, "dog": 3, "emu": 3, "gnu": 3}


def _linked_folder(root: Path) -> str:
    (root / "emu").symlink_to("/")  # Nobody lists the whole disk.
    return "emu"


def _linked_file(root: Path) -> str:
    _touch(root.parent, "secret.png")
    (root / "cat" / "x.png").symlink_to("../../secret.png")
    return "cat/x.png"


def _dangling_link(root: Path) -> str:
    (root / "cat" / "x.png").symlink_to(root.parent / "gone.png")
    return "cat/x.png"


def _link_through_links(root: Path) -> str:
    (root / "cat" / "a").symlink_to(root / "dog")
    (root / "dog" / "x").symlink_to(root.parent)
    return "cat/a/x"


def _similar_start(root: Path) -> str:
    _touch(root.parent / f"{root.name}2", "1.png")
    (root / "emu").symlink_to(root.parent / f"{root.name}2")
    return "emu"


@pytest.mark.parametrize(
    "link",
    [_linked_folder, _linked_file, _dangling_link, _link_through_links, _similar_start],
)
def test_a_link_out_of_the_folder_stops_the_run(link: Make, tmp_path: Path):
    root = _classes(tmp_path / "data")
    name = link(root)
    with pytest.raises(DataError, match=r"leads? out of it") as caught:
        _list(root)
    assert repr(name) in str(caught.value)
    assert "data.follow_links" in str(caught.value)


def test_links_within_the_folder_are_followed(tmp_path: Path):
    root = _classes(tmp_path / "data")
    (root / "emu").symlink_to("cat")
    (root / "dog" / "x.png").symlink_to(root / "cat" / "1.png")
    (tmp_path / "link to data").symlink_to(root)
    counts = Counter(ref.class_name for ref in _list(tmp_path / "link to data").refs)
    assert counts == {"cat": 3, "dog": 4, "emu": 3}


def test_class_names_are_composed_unicode(tmp_path: Path):
    decomposed = unicodedata.normalize("NFD", "Bär")
    root = _touch(_classes(tmp_path / "data"), f"{decomposed}/1.png", "Bär/2.png")
    counts = Counter(ref.class_name for ref in _list(root).refs)
    assert counts["Bär"] == 2


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["train"], {"train": ALL}),
        (["train", "test"], {"train": ("train", "eval"), "test": ("test",)}),
        (["train", "val"], {"train": ("train", "eval"), "val": ("test",)}),
        (
            ["Train", "validation"],
            {"Train": ("train", "eval"), "validation": ("test",)},
        ),
        (
            ["train", "val", "test"],
            {"train": ("train",), "val": ("eval",), "test": ("test",)},
        ),
    ],
    ids="+".join,
)
def test_given_splits_are_kept(
    tmp_path: Path, folders: list[str], expected: dict[str, tuple[str, ...]]
):
    for folder in folders:
        _classes(tmp_path / "data", f"{folder}/")
    listing = _list(tmp_path / "data")
    assert listing.layout == "pre_split"
    assert {ref.class_name for ref in listing.refs} == {"cat", "dog"}
    assert {n.split("/")[0]: s for n, s in _splits(listing).items()} == expected


def test_validation_can_be_kept_for_early_stopping(tmp_path: Path):
    _classes(_classes(tmp_path / "data", "train/"), "val/")
    splits = _splits(_list(tmp_path / "data", validation_becomes="eval"))
    assert splits["val/cat/0.png"] == ("eval",)
    assert splits["train/cat/0.png"] == ("train", "test")


def test_an_unlabelled_test_folder_is_no_test_set(tmp_path: Path):
    root = _touch(_classes(tmp_path / "data", "train/"), "test/1.jpg", "test/2.jpg")
    listing = _list(root)
    assert set(_splits(listing).values()) == {ALL}
    assert any("2 images directly in 'test'" in w for w in listing.warnings)


def test_classes_may_be_called_like_splits(tmp_path: Path):
    root = _touch(
        tmp_path / "data", *(f"{c}/{i}.png" for c in ("train", "bus") for i in "123")
    )
    assert {ref.class_name for ref in _list(root).refs} == {"train", "bus"}
    nested = _classes(_touch(tmp_path / "two", "train/1.png", "test/2.png"), "train/")
    found = {ref.class_name for ref in _list(nested, format="folders").refs}
    assert found == {"train", "test"}


def test_chosen_classes_alone_are_used(tmp_path: Path):
    root = _touch(_classes(tmp_path / "data"), "emu/1.png")
    config = DataConfig(path=str(root), class_names=("dog", "cat"))
    listing = list_images(config, "")
    refs = select_classes(listing, config)
    assert {ref.class_name for ref in refs} == {"cat", "dog"}
    assert listing.warnings == [
        "Left aside: 1 image of 1 class that `class_names` does not name: 'emu' (1)."
    ]
    listing = list_images(DataConfig(path=str(root), min_images_per_class=1), "")
    select_classes(listing, DataConfig(path=str(root), min_images_per_class=1))
    assert listing.warnings == []


def _manifest(folder: Path, text: str, name: str = "list.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_manifests_name_images_labels_and_splits(tmp_path: Path, kind: str):
    _touch(tmp_path, "a b.png", 'q"uote.png', "sub/c.png")
    rows = [
        ("a b.png", "cat", "train"),
        ('q"uote.png', "big dog", "val"),
        (str(tmp_path / "sub" / "c.png"), "cat", ""),
        ("missing.png", "cat", "TEST"),
    ]
    if kind == "csv":
        quoted = [",".join('"' + v.replace('"', '""') + '"' for v in r) for r in rows]
        text = "\ufeffpath,label,split\n" + "\n".join(quoted)
    else:
        keys = ("path", "label", "split")
        text = "\n".join(json.dumps(dict(zip(keys, r, strict=True))) for r in rows)
    refs = _list(_manifest(tmp_path, text, f"list.{kind}")).refs
    assert [(r.name, r.class_name, r.splits, r.source) for r in refs] == [
        ("a b.png", "cat", ("train",), f"list.{kind}"),
        ('q"uote.png', "big dog", ("eval",), f"list.{kind}"),
        (str(tmp_path / "sub" / "c.png"), "cat", ALL, f"list.{kind}"),
        ("missing.png", "cat", ("test",), f"list.{kind}"),
    ]
    assert [os.path.exists(r.path) for r in refs] == [True, True, True, False]
    assert refs[3].size is None


def test_a_manifest_of_other_columns(tmp_path: Path):
    text = "file,kind,fold\na.png,1,train\nb.png,2,test\n"
    columns = {"path_column": "file", "label_column": "kind", "split_column": "fold"}
    refs = _list(_manifest(tmp_path, text), **columns).refs
    assert [ref.class_name for ref in refs] == ["1", "2"]
    assert refs[0].splits == ("train", "eval")


def test_missing_files_of_a_manifest_count_as_bad(
    tmp_path: Path, write_photos: Make, run_ingestion: Make
):
    write_photos(tmp_path, number=40)
    names = [f"{c}/{i:03d}.png" for c in ("cat", "dog") for i in range(42)]
    lines = [f"{name},{name[:3]}" for name in names]
    path = _manifest(tmp_path, "path,label\n" + "\n".join(lines))
    result = run_ingestion(path)
    assert result.summary["num_written"] == 80
    reasons = {e["filename"]: e["reason"] for e in result.lines("quarantine.jsonl")}
    assert reasons == dict.fromkeys(
        ["cat/040.png", "cat/041.png", "dog/040.png", "dog/041.png"],
        "can't be read: No such file or directory",
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_names_of_missing_labels_are_told_for_tables_alone(tmp_path: Path, kind: str):
    _touch(tmp_path, "None/1.png", "NA/2.png", "cat/3.png")
    assert list_images(DataConfig(path=str(tmp_path)), "").warnings == []
    names = ("None", "NA", "cat")
    if kind == "csv":
        text = "path,label\n" + "".join(
            f"{n}/{i}.png,{n}\n" for i, n in enumerate(names)
        )
    else:
        text = "".join(
            f'{{"path": "{n}/{i}.png", "label": "{n}"}}\n' for i, n in enumerate(names)
        )
    path = _manifest(tmp_path, text, f"list.{kind}")
    warnings = list_images(DataConfig(path=str(path)), "").warnings
    assert warnings[-1].startswith(
        "Names that may stand for a missing label: 'NA' (1), 'None' (1)."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.txt", "set `data.format: csv`"),
        ("labels", "set `data.format: csv`"),
        ("labels.json", "with one object in each line, as .jsonl"),
        ("labels.xlsx", "Save the table as CSV"),
        ("labels.parquet", "Save the table as CSV"),
        ("labels.zip", "This is an archive"),
    ],
)
def test_another_file_of_labels_is_told_how_to_be_given(
    tmp_path: Path, name: str, message: str
):
    path = _manifest(tmp_path, "path\tlabel\n", name)
    with pytest.raises(DataError, match="Received: path=") as error:
        list_images(DataConfig(path=str(path)), "")
    assert message in str(error.value)


def test_a_file_of_tabs_is_a_manifest(tmp_path: Path):
    path = _manifest(tmp_path, "path\tlabel\na.png\tcat, small\n", "list.TSV")
    (ref,) = list_images(DataConfig(path=str(path)), "").refs
    assert ref.class_name == "cat, small"


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
def test_the_line_of_a_spreadsheet_tells_the_delimiter(tmp_path: Path, first: str):
    path = _manifest(tmp_path, f"{first}\npath;label\na.png;cat, small\n")
    (ref,) = list_images(DataConfig(path=str(path)), "").refs
    assert ref.class_name == "cat, small"


@pytest.mark.parametrize(
    "empty",
    ["test/cat/", "test/", "validation/", "test/cat/.gitkeep", "seg_test/dog/"],
)
def test_a_split_folder_without_images_is_refused(tmp_path: Path, empty: str) -> None:
    """Otherwise images of train would take its place without a word."""
    _classes(tmp_path, "train/", 5)
    place = tmp_path / empty
    if empty.endswith("/"):
        place.mkdir(parents=True)
    else:
        _touch(tmp_path, empty)
    with pytest.raises(DataError, match=r"folder '\S*(test|validation)' is named as"):
        _list(tmp_path)


def test_a_folder_of_another_name_may_be_empty_beside_splits(tmp_path: Path) -> None:
    _classes(tmp_path, "train/", 5)
    _classes(tmp_path, "test/", 5)
    (tmp_path / "notes").mkdir()
    assert _list(tmp_path).layout == "pre_split"


def _write_records(path: Path, names: list[str]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, name in enumerate(names):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(bytes([number]))
            label = f"class {number % 2}".encode()
            feature["image/class/text"].bytes_list.value.append(label)
            if name:
                feature["image/filename"].bytes_list.value.append(name.encode())
            writer.write(example.SerializeToString())


def test_names_of_a_bounded_number_of_records_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """All names are in memory while they are judged."""
    judged: list[str] = []

    def judge(refs: Sequence[ImageRef], mend: str) -> list[str]:
        judged.extend(ref.name for ref in refs)
        return []

    monkeypatch.setattr(listing, "warn_of_doubtful_names", judge)
    names = [f"{number}.png" if number % 3 else "" for number in range(12)]
    _write_records(tmp_path / "a.tfrecord", names)
    config = DataConfig(path=str(tmp_path / "a.tfrecord"))
    caplog.set_level("INFO")
    assert len(list_images(config, str(tmp_path)).refs) == 12
    assert judged == [name for name in names if name]
    assert "Looked for copies" not in caplog.text
    judged.clear()
    monkeypatch.setattr(listing, "_MOST_JUDGED", 5)
    list_images(config, str(tmp_path))
    assert judged == [name for name in names if name][:5]
    assert "among the first 5 images" in caplog.text


def test_a_misspelt_folder_is_told(tmp_path: Path) -> None:
    names = [f"gorilla/{n}.jpg" for n in range(60)] + [f"cat/{n}.jpg" for n in range(9)]
    names += [f"gorila/{n}.jpg" for n in range(3)]
    (warning,) = list_images(
        DataConfig(path=str(_touch(tmp_path, *names))), ""
    ).warnings
    assert warning.startswith(
        "Rare classes that may be misspelt: 'gorila (3) by gorilla (60)'"
    )
