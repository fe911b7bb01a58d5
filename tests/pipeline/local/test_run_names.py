"""A run and its model are named after the data; earlier names are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graft.contract.errors import UserError
from graft.pipeline.config import METADATA_FILE, PipelineConfig, load_config
from graft.pipeline.local.last_run import remember_run
from graft.pipeline.local.run_names import data_key, fill_in_names, name_of_data


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pets", "pets"),
        ("some/My_Photos/", "my-photos"),
        ("/data/2026-11-30", "data-2026-11-30"),
        ("Gemüse", "gemuse"),
        ("日本", "data-cf2abf0c"),
        ("x" * 60, "x" * 45),
        ("sklearn:digits", "digits"),
        ("gs://bucket/photos", "photos"),
        ("gs://bucket/photos/*.tfrecord", "photos"),
        ("kaggle/train.csv", "kaggle-train"),
    ],
)
def test_name_of_data(path: str, name: str) -> None:
    assert name_of_data(path) == name
    PipelineConfig.model_validate({"name": name, "data": {"path": path}})


def test_a_folder_may_have_a_dot_or_a_star_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos.v2*"
    folder.mkdir()
    assert name_of_data(str(folder)) == "photos-v2"
    monkeypatch.chdir(folder)
    assert name_of_data(".") == "photos-v2"


class Folder:
    """An output folder, and what a run in it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []

    def add_run(self, name: str, data: str, model: str = "") -> None:
        pipeline = self.path / "pipelines" / name
        pipeline.mkdir(parents=True)
        (pipeline / METADATA_FILE).touch()
        remember_run(str(pipeline), model=model or name, data=data_key(data))

    def add_model(self, name: str, pipeline: str) -> None:
        version = self.path / "serving" / name / "7"
        version.mkdir(parents=True)
        (version / "saved_model.pb").touch()
        (version / "graft_manifest.json").write_text(json.dumps({"pipeline": pipeline}))

    def names(self, data: str, *overrides: str) -> tuple[str, str]:
        config = load_config(
            None,
            data=data,
            output=str(self.path),
            overrides=overrides,
            fill_in=lambda values: fill_in_names(values, self.told.append),
        )
        return config.name, config.push.model_name


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def test_two_folders_of_images_make_two_models(folder: Folder) -> None:
    assert folder.names("pets") == ("pets", "pets")
    assert not folder.told
    folder.add_run("pets", "pets")
    assert folder.names("xmas") == ("xmas", "xmas")
    assert "a new model, `xmas`" in folder.told[0]
    assert "also holds: pets" in folder.told[0]
    assert folder.names("pets") == ("pets", "pets")
    assert len(folder.told) == 1


def test_the_configs_names_come_first(folder: Folder) -> None:
    assert folder.names("pets", "name=zoo") == ("zoo", "zoo")
    assert folder.names("pets", "push.model_name=Zoo") == ("pets", "Zoo")


def test_other_data_of_the_same_name_are_told(folder: Folder) -> None:
    folder.add_run("pets", "old/pets")
    assert folder.names("new/pets") == ("pets", "pets")
    assert "was last trained on" in folder.told[0]
    assert "old/pets" in folder.told[0]


def test_the_former_name_is_kept_for_the_same_data(folder: Folder) -> None:
    folder.add_run("graft", "pets")
    assert folder.names("pets") == ("graft", "graft")
    assert "--set name=pets" in folder.told[0]


def test_other_data_beside_the_former_name_need_a_decision(folder: Folder) -> None:
    folder.add_run("graft", "photos/2026-11-29")
    with pytest.raises(UserError, match=r"--set name=graft\. .* name=data-2026-11-30"):
        folder.names("photos/2026-11-30")
    assert folder.names("photos/2026-11-30", "name=graft") == ("graft", "graft")


def test_a_named_pipeline_keeps_its_former_model(folder: Folder) -> None:
    folder.add_model("graft", pipeline="pets")
    assert folder.names("anything", "name=pets") == ("pets", "graft")
    assert "push.model_name=pets" in folder.told[0]
    assert folder.names("anything", "name=others") == ("others", "others")
    folder.add_model("pets", pipeline="pets")
    assert folder.names("anything", "name=pets") == ("pets", "pets")


def test_a_compiled_pipeline_is_not_named_after_a_mount() -> None:
    config = load_config(None, data="/mnt/data")
    assert (config.name, config.push.model_name) == ("graft", "graft")
