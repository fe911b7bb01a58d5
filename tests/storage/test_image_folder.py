from __future__ import annotations

from pathlib import Path

import pytest

from graft.contract.errors import DataError
from graft.storage import atomic, left_aside
from graft.storage.image_folder import kinds_of_ignored, list_image_folder
from graft.storage.paths import join


def test_what_no_person_put_there_is_counted_and_not_listed(folder: str) -> None:
    for name in (
        "cat/1.jpg",
        "cat/1.jpg:Zone.Identifier",
        "cat/._1.jpg",
        "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_S.jpg",
        "labels.csv",
        "my run/deep/.graft-output",
        "my run/deep/serving/1/saved_model.pb",
        "my run/2.jpg",
    ):
        atomic.write_bytes(join(folder, name), b"x")
    tree = list_image_folder(folder)
    assert [entry.name for entry in tree.files] == [
        "cat/1.jpg", "labels.csv", "my run/2.jpg"
    ]  # fmt: skip
    assert tree.folders == ["cat", "my run"]
    assert kinds_of_ignored(tree) == {
        left_aside.WINDOWS: 1,
        left_aside.MACOS: 1,
        left_aside.STORAGE_DEVICE: 2,
        left_aside.OUTPUT: 2,
    }


def test_a_link_that_leads_back_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"leads back to a folder.*Remove the link"):
        list_image_folder(str(tmp_path))
