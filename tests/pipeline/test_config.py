"""Messages about mistakes in a config: what is allowed, the value, the remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from graft.pipeline.config import ConfigError, PipelineConfig, dump_config, load_config

CONFIGS = sorted(
    (Path(__file__).resolve().parents[2] / "pipeline" / "configs").glob("*.yaml")
)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_is_valid_and_says_how_to_run_it(path):
    assert load_config(path).unused_keys() == []
    head = path.read_text(encoding="utf-8")
    assert head.startswith("#")
    assert f"graft run pipeline/configs/{path.name}" in head


def test_a_folder_of_images_is_enough():
    config = load_config(None, data="my_photos")
    assert config.data.path == "my_photos"
    assert config.push_destination == "graft_output/serving"


def test_the_dumped_config_is_the_same_config(tmp_path):
    config = load_config(None, data="my_photos", overrides=["training.epochs=3"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config


def test_all_mistakes_are_listed_at_once():
    overrides = ["name=My Photos", "model.preset=x", "gate.x=1", "data.splits={a: 1}"]
    with pytest.raises(ConfigError) as caught:
        load_config(None, data="my_photos", overrides=overrides)
    for key in ("`name`", "`model`", "`gate.x`", "`data.splits.a`"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainings.epochs=3"], "did you mean `training`"),
        (["training.epoch=3"], "did you mean `epochs`"),
        (["data.pth=x"], "did you mean `path`"),
        (["training.epochs=many"], "`training.epochs`: .*integer.*Received: 'many'"),
        (["training.epochs=0"], "greater than 0. Received: 0"),
        (["gate.min_accuracy=1.5"], "less than or equal to 1. Received: 1.5"),
        (["model.pooling=mean"], "'avg', 'max' or 'none'. Received: 'mean'"),
        (
            ["name=My_Pipeline"],
            "`name` must match .*Received: 'My_Pipeline'.*lower-case letters, digits",
        ),
        (["model.preset=resnet51"], "`model`: `preset` names no backbone.*resnet50"),
        (["data.splits={train: 50}"], "must add up to 100"),
        (["training.augmentation.zoom=0.1"], "needs strategy `frozen`"),
        (["training.epochs"], "takes key=value. Received: 'training.epochs'"),
        (["training.epochs=[1"], "takes a YAML value"),
        (["name.first=x", "name=3"], "`name`"),
        (["model.head=[{type: dens, units: 3}]"], "'dense', 'conv2d'"),
    ],
)
def test_a_mistake_is_named(overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_config(None, data="x", overrides=overrides)
    text = str(caught.value)
    import re

    assert re.search(message, text, re.IGNORECASE), text


def test_every_mistake_is_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        load_config(
            None,
            data="x",
            overrides=["training.epochs=0", "gate.min_accuracy=2", "trainings.seed=1"],
        )
    text = str(caught.value)
    assert "training.epochs" in text
    assert "gate.min_accuracy" in text
    assert "trainings" in text


def test_no_data_at_all_says_how_to_name_some():
    with pytest.raises(ConfigError, match="graft run my_photos"):
        load_config(None)


def test_a_missing_file_suggests_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"Did you mean '.*digits\.yaml'"):
        load_config(tmp_path / "digts.yaml")


def test_a_folder_of_images_stands_for_a_config(tmp_path):
    folder = tmp_path / "my cats"
    folder.mkdir()
    assert load_config(folder).data.path == str(folder)
    with pytest.raises(ConfigError, match=r"Name one of them. Received: --data 'x'"):
        load_config(folder, data="x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"data: [", "is not YAML"),
        (b"- a\n- b\n", "must hold keys and values.*Received: list"),
        (b"\xff\xfe\x00", "can't be read"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_every_key_has_a_description():
    def describe(model: type, prefix: str) -> list[str]:
        missing = []
        for name, field in model.model_fields.items():
            if not field.description:
                missing.append(f"{prefix}{name}")
            nested = field.annotation
            if isinstance(nested, type) and hasattr(nested, "model_fields"):
                missing += describe(nested, f"{prefix}{name}.")
        return missing

    assert describe(PipelineConfig, "") == []


def _graft(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graft.pipeline.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_mistake_on_the_command_line_ends_without_a_trace():
    done = _graft("config", "check", "--data", "x", "--set", "training.epoch=1")
    assert done.returncode == 1
    assert "Did you mean `epochs`" in done.stderr
    assert "Traceback" not in done.stderr


def test_config_show_prints_the_whole_config_as_yaml():
    done = _graft("config", "show", "--data", "x", "--set", "training.epochs=7")
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout)["training"]["epochs"] == 7


_HEAVY = ("tensorflow", "keras", "tfx", "apache_beam", "kfp", "sklearn")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["config", "check", "--data", "x"]],
    ids=" ".join,
)
def test_help_and_checks_import_nothing_heavy(arguments):
    """Instead of measuring time: slow packages are not imported."""
    program = (
        "import sys\n"
        f"sys.argv = ['graft', *{arguments!r}]\n"
        "from graft.pipeline.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"heavy = [name for name in {_HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_key_without_effect_is_named() -> None:
    config = load_config(None, data="x", overrides=["training.epochs=3"])
    (sentence,) = config.unused_keys()
    assert "`training.epochs` has no effect here: it needs training by" in sentence
    layers = "model.head=[{type: dense, units: 4}]"
    used = load_config(None, data="x", overrides=["training.epochs=3", layers])
    assert used.unused_keys() == []
    spatial = load_config(
        None, data="x", overrides=["training.epochs=3", "model.pooling=none"]
    )
    assert spatial.unused_keys() == []


@pytest.mark.parametrize(
    "path",
    [
        "list.csv",
        "list.CSV.gz",
        "list.tsv",
        "list.jsonl",
        "images.tfrecord",
        "gs://bucket/photos",
        "s3://bucket/list.csv",
        "keras:cifar10",
        "sklearn:digits",
    ],
)
def test_data_stand_in_place_of_a_config(path: str) -> None:
    assert load_config(path).data.path == path
    with pytest.raises(ConfigError, match="names images, and `--data` names images"):
        load_config(path, data="photos")


@pytest.mark.parametrize("path", ["my.yaml", "config", "my.json"])
def test_other_files_are_configs(path: str, tmp_path: Path) -> None:
    file = tmp_path / path
    file.write_text('{"data": {"path": "photos"}}')
    assert load_config(file).data.path == "photos"
