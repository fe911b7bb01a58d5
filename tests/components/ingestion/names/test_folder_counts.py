"""The tree of a data set is counted from the names of its files and folders."""

from __future__ import annotations

from graft.components.ingestion.names.folder_counts import count_folders

NAMES = ["a/1.jpg", "a/b/2.jpg", "a/b/3.png", "a/b/list.csv", "c/notes.txt", "4.jpg"]


def test_images_and_other_files_are_counted() -> None:
    root = count_folders(NAMES, ["a", "empty"])
    assert (root.total, root.images, root.is_flat) == (4, ["4.jpg"], False)
    assert sorted(root.children) == ["a", "c", "empty"]
    assert [child.name for child in root.filled] == ["a"]
    inner = root.child_at("a/b")
    assert inner is not None
    assert (inner.name, inner.total, inner.is_flat) == ("b", 2, True)
    assert inner.others == ["list.csv"]
    assert root.child_at("a/x") is None


def test_a_folder_can_be_the_root() -> None:
    folder = count_folders(NAMES).child_at("a")
    assert folder is not None
    root = folder.as_root()
    assert [each.path for each in root.walk()] == ["", "b"]
    assert (root.total, root.images) == (3, ["1.jpg"])
    assert [each.path for each in root.as_root().walk()] == ["", "b"]
    assert [each.path for each in folder.walk()] == ["a", "a/b"]
