"""The label map of a Transform graph."""

from __future__ import annotations

from pathlib import Path

from graft.contract import example_keys
from graft.trainer.preprocessing.transform_graph import read_label_map


def test_class_names_are_in_the_order_of_their_labels(tmp_path: Path) -> None:
    assets = tmp_path / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    names = "zebra\nEl Niño\ncat dog\n"
    (assets / example_keys.CLASS_NAMES_VOCABULARY).write_text(names, encoding="utf-8")
    label_map = read_label_map(str(tmp_path))
    assert label_map.class_names == ("zebra", "El Niño", "cat dog")
