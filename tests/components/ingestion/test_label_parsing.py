"""Random tables of labels are parsed as intended, or an error names the line.

The intended name is computed here without graft's code: composed Unicode without white
space at the ends.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError
from graft.contract.example_keys import CLASS_NAME_KEY, IMAGE_KEY

COLUMNS = ("path", "label", "note")
BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=BLANK_LETTERS),
    max_size=6,
)
WORDS = st.sampled_from(
    ["cat", "Apple, scab", "it's", '"big" dog', "a;b|c", "e\u0301", "می‌شود", "👩‍🔬"]
)
# A text in quotes, or bytes as Python prints them, is refused.
PLAIN = st.text("abc ,;\"'é", min_size=1, max_size=5).filter(
    lambda text: text.strip() and not re.match("b?[\"']", text.strip())
)
SETTINGS = settings(deadline=None, max_examples=150)


def _meant(label: str) -> str:
    return unicodedata.normalize("NFC", label).strip()


def _is_one_name(label: str) -> bool:
    """Tell, without graft's code, whether a text is a label."""
    name = _meant(label)
    is_one_line = not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name)
    has_ink = any(unicodedata.category(c)[0] in "LNPS" for c in name)
    is_whole = "\ufffd" not in name and name.lower() not in ("nan", "<na>", "#n/a")
    ends = name[:1] + name[-1:]
    in_quotes = len(name) > 1 and ends in ("''", '""', "``", "‘’", "“”", "„“", "«»")
    # Bytes or a list as Python prints them, or a formula of a spreadsheet.
    is_printed = re.match("""b["']|[\\[({]\\s*b?["']|=\"""", name) is not None
    return is_one_line and has_ink and is_whole and not in_quotes and not is_printed


def _read(content: bytes, suffix: str) -> list[str] | str:
    """Return the class names, or the message of the error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"list.{suffix}"
        path.write_bytes(content)
        # Without it, random labels such as "a,b" and "b,a" would be sets of tags.
        config = DataConfig(path=str(path), class_names=("any",))
        try:
            names = [ref.class_name for ref in list_images(config, folder).refs]
        except DataError as error:
            return str(error)
        finally:
            if suffix != "tfrecord":
                _fingerprint(config)
    return names


def _fingerprint(config: DataConfig) -> None:
    try:
        fingerprint(config)
    except DataError:
        return


def _csv(rows: list[tuple[str, ...]], **options: Any) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, **options).writerows([COLUMNS, *rows])
    return buffer.getvalue()


def _rows(labels: list[str]) -> list[tuple[str, ...]]:
    return [(f"{n}.png", label, "a note") for n, label in enumerate(labels)]


def _check(labels: list[str], found: list[str] | str, place: str) -> None:
    """Hold what was read to what was meant; `place` has the number of a bad one."""
    if isinstance(found, list):
        assert found == [_meant(label) for label in labels]
        return
    numbers = [int(number) for number in re.findall(place, found)]
    assert any(not _is_one_name(labels[number]) for number in numbers), found


@SETTINGS
@given(
    st.lists(ANY_TEXT | WORDS, min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_csv(labels: list[str], delimiter: str, end: str, has_mark: bool) -> None:
    labels = [label.replace("\r", "").replace("\n", "") for label in labels]
    text = _csv(_rows(labels), delimiter=delimiter, lineterminator=end)
    found = _read(text.encode("utf-8-sig" if has_mark else "utf-8"), "csv")
    if isinstance(found, str):  # the header is line 1
        found = re.sub(r"line (\d+)", lambda m: f"line {int(m[1]) - 2}", found)
    _check(labels, found, r"line (\d+)")


@SETTINGS
@given(
    st.lists(ANY_TEXT | WORDS | st.integers(0), min_size=1, max_size=6), st.booleans()
)
def test_json_lines(labels: list[Any], is_ascii: bool) -> None:
    lines = [
        json.dumps({"path": f"{n}.png", "label": label}, ensure_ascii=is_ascii)
        for n, label in enumerate(labels)
    ]
    found = _read("\n".join(lines).encode(), "jsonl")
    if isinstance(found, str):
        if found.startswith("Labels must all be names"):
            assert len({isinstance(label, int) for label in labels}) == 2
            return
        found = re.sub(r"line (\d+)", lambda m: f"line {int(m[1]) - 1}", found)
    _check([str(label) for label in labels], found, r"line (\d+)")


@settings(deadline=None, max_examples=60)
@given(st.lists(ANY_TEXT | WORDS, min_size=1, max_size=6))
def test_records(labels: list[str]) -> None:
    content = _records([[label.encode()] for label in labels])
    _check(labels, _read(content, "tfrecord"), r"record (\d+)")


def _records(labels: list[list[bytes]]) -> bytes:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for number, values in enumerate(labels):
                example = tf.train.Example()
                feature = example.features.feature
                feature[IMAGE_KEY].bytes_list.value.append(b"image %d" % number)
                feature[CLASS_NAME_KEY].bytes_list.value.extend(values)
                writer.write(example.SerializeToString())
        return path.read_bytes()


@st.composite
def _changes(draw: st.DrawFn) -> tuple[list[str], list[list[str]], int]:
    """Draw labels, and rows of which one has a cell too few or too many."""
    labels = draw(st.lists(PLAIN | WORDS, min_size=2, max_size=5))
    rows = [list(row) for row in _rows(labels)]
    at = draw(st.integers(0, len(rows) - 1))
    row = rows[at]
    place = draw(st.integers(0, len(row) - 1))
    kind = draw(st.sampled_from(["drop", "add", "double", "cut"]))
    if kind == "drop":
        del row[place]
    elif kind == "add":
        row.insert(place, draw(st.sampled_from(["", "x", "cat"])))
    elif kind == "double":
        row.insert(place, row[place])
    else:
        row[place : place + 1] = [row[place], "", ""]
    return labels, rows, at


@SETTINGS
@given(_changes())
def test_a_cell_too_few_or_too_many_is_named(
    change: tuple[list[str], list[list[str]], int],
) -> None:
    _, rows, at = change
    found = _read(_csv([tuple(row) for row in rows]).encode(), "csv")
    assert isinstance(found, str)
    assert f"line {at + 2}: {len(rows[at])} cell" in found


@SETTINGS
@given(st.lists(PLAIN | WORDS, min_size=1, max_size=4), st.data())
def test_a_character_lost_or_added_changes_no_other_label(
    labels: list[str], data: st.DataObject
) -> None:
    """A changed character changes the label of its own line only."""
    text = _csv(_rows(labels), quoting=data.draw(st.sampled_from([0, 1])))
    at = data.draw(st.integers(len(",".join(COLUMNS)) + 2, len(text) - 1))
    added = data.draw(st.sampled_from(["", ",", '"', "\n", "\r", "x"]))
    found = _read((text[:at] + added + text[at + 1 :]).encode(), "csv")
    if isinstance(found, str):
        return
    # Where two lines became one or one became two, a cell would be left over.
    assert len(found) == len(labels)
    expected = [_meant(label) for label in labels]
    assert sum(a != b for a, b in zip(expected, found, strict=True)) <= 1


WRONG = st.sampled_from(
    [
        ["cat"], ["cat", "dog"], [], [0, 1, 0], {"cat": 1}, {}, None, True, False,
        0.5, -1, float("nan"), float("inf"), "", "  ", "nan", "[0, 1]",
    ]
)  # fmt: skip


@SETTINGS
@given(st.lists(PLAIN | WORDS, min_size=1, max_size=5), st.data(), WRONG)
def test_a_value_that_is_no_label_is_named(
    labels: list[str], data: st.DataObject, wrong: object
) -> None:
    at = data.draw(st.integers(0, len(labels) - 1))
    rows = [{"path": f"{n}.png", "label": label} for n, label in enumerate(labels)]
    rows[at]["label"] = wrong  # type: ignore[assignment]
    found = _read("\n".join(map(json.dumps, rows)).encode(), "jsonl")
    assert isinstance(found, str)
    assert f"line {at + 1}: the column 'label' is " in found


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([b"cat", b"dog"]), min_size=1, max_size=4), st.data())
def test_a_byte_that_changed_in_a_record_is_noticed(
    labels: list[bytes], data: st.DataObject
) -> None:
    content = bytearray(_records([[label] for label in labels]))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    found = _read(bytes(content), "tfrecord")
    assert isinstance(found, str) and "list.tfrecord" in found
