"""A file has one label, whichever lines of a manifest name it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.manifests import read_manifest
from graft.contract.errors import DataError

CSV = "path,label\na.png,cat\nb.png,dog\n./a.png,dog\n"
JSONL = (
    '{"path": "a.png", "label": 1}\n{"path": "b.png", "label": 2}\n\n'
    '{"path": "a.png", "label": 2}\n'
)


def _labels(folder: Path, kind: str, content: str, **fields: Any) -> list[str]:
    path = folder / f"list.{kind}"
    path.write_text(content)
    config = DataConfig(path=str(path), **fields)
    return [entry.label for entry in read_manifest(str(path), kind, config).entries]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("csv", CSV, "lines 2 and 4 give './a.png' two labels. Received: 'cat' and"),
        (
            "jsonl",
            JSONL,
            "lines 1 and 4 give 'a.png' two labels. Received: '1' and",
        ),
    ],
)
def test_two_labels_of_one_file_stop_before_the_run(
    tmp_path: Path, kind: str, content: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        _labels(tmp_path, kind, content)
    assert message in str(caught.value)
    assert "Delete one of the lines, or set `duplicate_label_policy`" in str(
        caught.value
    )
    with pytest.raises(DataError, match="two labels"):
        fingerprint(DataConfig(path=str(tmp_path / f"list.{kind}")))


@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_the_policy_allows_two_labels(tmp_path: Path, policy: str) -> None:
    labels = _labels(tmp_path, "csv", CSV, duplicate_label_policy=policy)
    assert labels == ["cat", "dog", "dog"]


def test_a_line_may_stand_twice(tmp_path: Path) -> None:
    content = "path,label\na.png,cat\na.png,cat \nA.png,dog\n"
    assert _labels(tmp_path, "csv", content) == ["cat", "cat ", "dog"]


def test_two_labels_of_one_image_under_other_names(
    tmp_path: Path,
    make_image: Callable[..., bytes],
    run_ingestion: Callable[..., Any],
) -> None:
    lines = ["path,label"]
    for index, name in enumerate(["a", "b", "c", "d", "e", "f"]):
        (tmp_path / f"{name}.png").write_bytes(make_image(index))
        lines.append(f"{name}.png,{('cat', 'dog')[index % 2]}")
    (tmp_path / "copy.png").write_bytes(make_image(0))
    lines.append("copy.png,dog")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(
        DataError, match=r"'a.png' = 'copy.png' \(labels 'cat', 'dog'\)"
    ):
        run_ingestion(tmp_path / "list.csv")
