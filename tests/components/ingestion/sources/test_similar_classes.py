"""Classes with confusable names: warn, merge or refuse."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.similar_classes import skeleton_of
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.summary import select_classes
from graft.contract.errors import DataError

NFD = unicodedata.normalize("NFD", "café")


def _list(folder: Path, labels: dict[str, int], **fields: Any) -> Listing:
    path = folder / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for label, number in labels.items():
            writer.writerows([f"{label!r}{n}.png", label] for n in range(number))
    return list_images(DataConfig(path=str(path), **fields), "unused")


PAIRS = {
    "case": ("cat", "Cat", "'cat' (5 images), 'Cat' (2 images) differ only in case"),
    "no-break space": ("a b", "a\xa0b", r"'a\xa0b' (2 images) differ only in white"),
    "two spaces": ("a b", "a  b", "differ only in white space"),
    "zero width": ("cat", "c\u200bat", r"'c\u200bat' (2 images) differ only in invis"),
    "soft hyphen": ("cat", "c\xadat", r"'c\xadat' (2 images) differ only in invisible"),
    "mark of order": ("cat", "cat\ufeff", "differ only in invisible characters"),
    "mark of direction": ("שלום", "שלום\u200f", r"\u200f' (2 images) differ only in"),
    "joiner": ("می‌شود", "میشود", r"= '\u0645\u06cc\u200c\u0634\u0648\u062f' (5 "),
    "selector": ("❤", "❤️", r"= '\u2764\ufe0f' (2 images) differ only in invisible"),
    "full width": (
        "cat",
        "ｃａｔ",
        r"'ｃａｔ' = '\uff43\uff41\uff54' (2 images) differ",
    ),
    "ligature": ("file", "ﬁle", r"= '\ufb01le' (2 images) differ only in forms of"),
    "Cyrillic": ("cat", "c\u0430t", r"= 'c\u0430t' (2 images) differ only in look-al"),
    "Greek capital": ("Alpha", "\u0391lpha", "differ only in look-alike letters"),
    "Greek": ("van", "\u03bd\u03b1n", "differ only in look-alike letters"),
    "Cyrillic capitals": ("MOCKBA", "МОСКВА", "differ only in look-alike letters"),
    "whole word and case": ("cop", "СОР", "differ only in"),
    "number": ("1", "1.0", "'1.0' (2 images) differ only in the form of a number"),
    "sign of a number": ("1", "+1", "differ only in the form of a number"),
    "exponent": ("1000", "1e3", "differ only in the form of a number"),
    "point": ("1000", "1000.", "differ only in the form of a number"),
    "zeros": ("7", "007", "differ only in the form of a number"),
    "Arabic digits": ("10", "\u0661\u0660", "differ only in the form of a number"),
    "Turkish capital": ("izmir", "İzmir", "differ only in case"),
    "Turkish without dot": ("IZMIR", "\u0131zm\u0131r", "differ only in case"),
    "encoding": ("zo\xeb", "zo\xc3\xab", "differ only in an encoding that was"),
    "encoding with no-break space": ("\xe0 la", "\xc3\xa0 la", "differ only in an enc"),
    "encoding of quotes": ("a’s", "aâ€™s", "differ only in an encoding that was"),
    "entity": ("zoë", "zo&euml;", "differ only in HTML entities"),
    "entity of a sign": ("a&b", "A&amp;b", "differ only in HTML entities"),
    "entity in digits": ("a'b", "a&#39;b", "differ only in HTML entities"),
    "numbered copy": ("cat", "Cat (12)", "differ only in the mark of a copy"),
    "copy of Windows": ("cat", "cat - Copy", "differ only in the mark of a copy"),
    "second of Windows": ("cat", "cat - Copy (2)", "differ only in the mark of a copy"),
    "second copy of a Mac": ("cat", "cat copy 2", "differ only in the mark of a copy"),
    "German copy": ("Katze", "Katze - Kopie", "differ only in the mark of a copy"),
    "old copy": ("cat", "Copy (3) of cat", "differ only in the mark of a copy"),
    "underscore": ("big cat", "big_cat", "differ only in separators"),
    "hyphen": ("x-ray", "xray", "differ only in separators"),
    "separator and case": ("big_cat", "Big-Cat", "differ only in case, separators"),
    "accent": ("café", "cafe", "differ only in accents"),
    "accent and case": ("Müller", "MULLER", "differ only in case, accents"),
    "full stop": ("cat", "cat.", "differ only in a mark at the end"),
    "two at once": ("big cat", "Big  Cat", "differ only in white space, case"),
}


@pytest.mark.parametrize(("one", "other", "message"), PAIRS.values(), ids=PAIRS)
def test_a_pair_is_told_merged_or_refused(
    tmp_path: Path, one: str, other: str, message: str
) -> None:
    labels = {other: 2, one: 5, "something else": 3}
    warned = _list(tmp_path, labels)
    counts = Counter(ref.class_name for ref in warned.refs)
    assert counts == {one: 5, other: 2, "something else": 3}
    (warning,) = warned.look_alikes
    assert message in warning and "`data.similar_class_names` to 'merge'" in warning

    merged = _list(tmp_path, labels, similar_class_names="merge")
    counts = Counter(ref.class_name for ref in merged.refs)
    assert counts == {one: 7, "something else": 3}
    (warning,) = merged.look_alikes
    assert warning.startswith("Merged into the class ") and message in warning

    with pytest.raises(DataError, match="must not look alike") as error:
        _list(tmp_path, labels, similar_class_names="fail")
    assert message in str(error.value)


def test_marks_of_copies_need_an_original(tmp_path: Path) -> None:
    labels = {"wing (1)": 2, "wing (2)": 2, "copy": 2, "hard copy": 2, "cat 2": 2}
    assert not _list(tmp_path, labels | {"cat": 2}).warnings


def test_signs_and_numbers_stand_for_themselves(tmp_path: Path) -> None:
    labels = ["A", "A+", "A-", "1-2", "12", "C", "C#", "й", "и", "20 1", "201"]
    assert not _list(tmp_path, dict.fromkeys(labels, 2)).warnings


def test_names_of_marks_alone_stand_for_themselves(tmp_path: Path) -> None:
    assert not _list(tmp_path, {"!": 2, ":": 2}).warnings


def test_words_of_other_scripts_stand_for_themselves(tmp_path: Path) -> None:
    # Each has a letter that looks like no Latin one.
    labels = {"αλφα": 2, "alpha": 2, "да": 2, "дa": 2, "гав": 2, "rab": 2, "ΩΣ": 2}
    (warning,) = _list(tmp_path, labels).warnings
    assert "'да' = " in warning and "look-alike letters" in warning


def test_case_is_told_in_every_script(tmp_path: Path) -> None:
    (warning,) = _list(tmp_path, {"ΤΟ": 3, "το": 2, "x": 3}).warnings
    assert "differ only in case" in warning
    (warning,) = _list(tmp_path, {"ΤΟ": 3, "το": 2, "TO": 4}).warnings
    assert all(f"{name!r}" in warning for name in ("ΤΟ", "το", "TO"))


def test_an_empty_class_may_look_alike(tmp_path: Path) -> None:
    for name in ("cat/1.png", "\u0441at/2.png", "dog/3.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "c\u0430t").mkdir()
    (warning, *_) = list_images(DataConfig(path=str(tmp_path)), "").warnings
    assert "(0 images)" in warning and warning.count("1 image)") == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "cart"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        ("v1.5", "v1.6"),
        ("10", "1"),
        ("1e400", "1e401"),
        ("1" * 5000, "1" * 5001),
        ("AT&T", "AT&t;x"),
        ("a+b", "a b"),
    ],
)
def test_other_pairs_are_none(tmp_path: Path, one: str, other: str) -> None:
    assert _list(tmp_path, {one: 3, other: 3}).warnings == []


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (NFD, r"'cafe\u0301' (2 images) differ only in forms of Unicode"),
        ("café ", r"'caf\xe9 ' (2 images) differ only in white space"),
        ("\xa0café", r"'\xa0caf\xe9' (2 images) differ only in white space"),
    ],
)
def test_two_spellings_of_one_class_are_told(
    tmp_path: Path, written: str, message: str
) -> None:
    labels = {"café": 3, written: 2}
    listing = _list(tmp_path, labels)
    assert {ref.class_name for ref in listing.refs} == {"café"}
    (warning,) = listing.warnings
    assert warning.startswith("One class: ") and message in warning
    with pytest.raises(DataError, match="must not look alike"):
        _list(tmp_path, labels, similar_class_names="fail")


def test_one_spelling_of_a_class_is_nothing_to_tell(tmp_path: Path) -> None:
    assert _list(tmp_path, {NFD: 3, " dog": 3}).warnings == []
    listing = _list(tmp_path, {"cat": 3, "dog": 3}, similar_class_names="fail")
    assert len(listing.refs) == 6


def test_the_more_frequent_name_wins_and_a_tie_is_decided_by_the_names(
    tmp_path: Path,
) -> None:
    for labels, name in (
        ({"cat": 2, "Cat": 3, "CAT": 2}, "Cat"),
        ({"cat": 2, "Cat": 2}, "Cat"),
        ({"Cat": 2, "cat": 2}, "Cat"),
    ):
        merged = _list(tmp_path, labels, similar_class_names="merge")
        assert {ref.class_name for ref in merged.refs} == {name}


def test_a_chosen_name_wins(tmp_path: Path) -> None:
    config = {"similar_class_names": "merge", "class_names": ("cat", NFD)}
    labels = {"Cat": 3, "cat": 1, "café": 4}
    listing = _list(tmp_path, labels, **config)
    chosen = select_classes(listing, DataConfig(path="x", **config))
    assert Counter(ref.class_name for ref in chosen) == {"cat": 4, "café": 4}


def test_a_small_class_that_is_a_misspelt_one_is_told(tmp_path: Path) -> None:
    listing = _list(tmp_path, {"cat": 3, "Cat": 1, "dog": 3})
    with pytest.raises(DataError, match=r"'Cat' \(1\).*differ only in case.*'merge'"):
        select_classes(listing, DataConfig(path="x"))


def test_chosen_names_that_are_none_are_refused() -> None:
    with pytest.raises(ValidationError, match="it is blank"):
        DataConfig(path="x", class_names=("cat", " "))


def test_many_groups_are_cut(tmp_path: Path) -> None:
    labels = {letter: 3 for letter in "abcdefghABCDEFGH"}
    assert _list(tmp_path, labels).warnings[5:] == [
        "And 3 more groups of names that look alike."
    ]


def test_folders_that_end_in_a_space_or_are_decomposed_hold_their_images(
    tmp_path: Path,
) -> None:
    for name in (NFD, "cat ", "dog\xa0", "dog", "\u3000emu"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.png").write_bytes(b"x")
    (tmp_path / "Cat").mkdir()
    for fields in ({}, {"format": "folders", "similar_class_names": "merge"}):
        config = DataConfig(path=str(tmp_path), min_images_per_class=1, **fields)
        listing = list_images(config, "unused")
        counts = Counter(ref.class_name for ref in listing.refs)
        assert counts == {"café": 3, "cat": 3, "dog": 6, "emu": 3}
        assert listing.empty_classes == ([] if fields else ["Cat"])
        assert len(listing.warnings) == 2


def test_split_folders_are_as_well(tmp_path: Path) -> None:
    for folder in ("train/cat ", f"train/{NFD}", "test/cat", f"test/{NFD}"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "0.png").write_bytes(b"x")
    listing = list_images(DataConfig(path=str(tmp_path)), "unused")
    assert listing.layout == "pre_split" and listing.empty_classes == []
    counts = Counter(ref.class_name for ref in listing.refs)
    assert counts == {"café": 2, "cat": 2}


@given(st.text())
def test_what_looks_alike_is_found_from_either_side(text: str) -> None:
    look = skeleton_of(text)
    assert skeleton_of(look) == look
    for changed in (
        text.upper().lower(),
        f" {text} ",
        unicodedata.normalize("NFKC", text),
    ):
        assert skeleton_of(changed) == skeleton_of(changed.casefold())


def test_merging_keeps_the_composed_name_of_one_class(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", NFD)
    labels = {NFD: 5, composed: 2, "dog ": 4, "dog": 1, "Dog": 1}
    listing = _list(tmp_path, labels, similar_class_names="merge")
    assert {ref.class_name for ref in listing.refs} == {composed, "dog"}


def test_a_group_of_many_names_is_cut(tmp_path: Path) -> None:
    labels = {"c" + "\u200b" * n + "at": 9 - n for n in range(8)}
    (warning,) = _list(tmp_path, {**labels, "dog": 3}).warnings
    assert warning.count("images)") == 5
    assert "(5 images) and 3 more differ only in invisible characters" in warning


def test_two_folders_that_became_one_class_are_told(tmp_path: Path) -> None:
    for folder in ("u\u0308ber", "\u00fcber"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            (tmp_path / folder / f"{number}.jpg").write_bytes(b"x")
    config = DataConfig(path=str(tmp_path))
    with pytest.raises(DataError) as stopped:
        select_classes(list_images(config, "unused"), config)
    assert "Received: only '\u00fcber'" in str(stopped.value)
    assert "differ only in forms of Unicode" in str(stopped.value)
