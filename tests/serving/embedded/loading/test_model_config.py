"""Version folders, and the choice of a version policy."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading.model_config import (
    ModelConfig,
    check_labels,
    find_versions,
    is_list,
    read_models,
    single_model,
)


def test_request_logging_is_ignored():
    config = single_model("m", "/m")
    logging = config.model_config_list.config[0].logging_config
    logging.sampling_config.sampling_rate = 1.0
    assert read_models(config) == read_models(single_model("m", "/m"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            'name: "m" base_path: "gs://bucket/m"',
            "Model m: base_path() must be a folder, not a URI; got gs://bucket/m",
        ),
        ('base_path: "/m"', "A model in the config has no name."),
        (
            'name: "m" base_path: "/m" model_version_policy { specific { } }',
            "Version policy of model m is `specific` without versions.",
        ),
    ],
    ids=["uri", "no-name", "no-version"],
)
def test_models_that_nobody_can_ask(entry, message):
    """Differences from the binary."""
    config = model_server_config_pb2.ModelServerConfig()
    text = f'model_config_list {{ config {{ {entry} model_platform: "tensorflow" }} }}'
    with pytest.raises(StatusError) as caught:
        read_models(text_format.Parse(text, config))
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == message


def test_an_empty_config_does_nothing_unless_a_list_came_before():
    empty = model_server_config_pb2.ModelServerConfig()
    assert not is_list(empty, follows_list=False)
    assert is_list(single_model("m", "/m"), follows_list=True)
    custom = text_format.Parse("custom_model_config { }", type(empty)())
    for config in (empty, custom):
        with pytest.raises(StatusError, match="FAILED_PRECONDITION: Cannot transition"):
            is_list(config, follows_list=True)
    with pytest.raises(StatusError, match="does not yet support custom model config"):
        is_list(custom, follows_list=False)


def test_a_version_is_a_whole_number(tmp_path):
    names = ("1", "00000123", "7", "07", "v2", "3.0", "-4", "+9", ".5", "6 ", "1_1")
    names += (str(2**63), "9" * 200, "\u0661")
    for name in names:
        (tmp_path / name).mkdir()
    found = find_versions(tmp_path)
    assert found == {
        1: tmp_path / "1",
        123: tmp_path / "00000123",
        7: tmp_path / "7",
        -4: tmp_path / "-4",
        9: tmp_path / "+9",
        6: tmp_path / "6 ",
    }


def test_a_base_path_that_is_not_there_differs_from_an_empty_one(tmp_path):
    assert find_versions(tmp_path) == {}
    assert find_versions(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("label", "version", "allows", "is_refused"),
    [
        ("new", 1, False, False),
        ("new", 9, False, True),
        ("new", 9, True, False),
        ("stable", 9, True, True),
        ("canary", 7, True, False),
        ("canary", 7, False, True),
        ("canary", 1, False, False),
    ],
)
def test_labels_of_versions_that_do_not_answer(label, version, allows, is_refused):
    """Version 1 answers. `canary` names version 7, which does not answer yet."""
    config = ModelConfig("m", Path("/m"), labels={label: version})
    refusal = pytest.raises(StatusError, match="not currently available for inference")
    with refusal if is_refused else contextlib.nullcontext():
        check_labels(
            {"m": config},
            {"m": {1}},
            {"m": {"stable": 1, "canary": 7}},
            allows_unavailable=allows,
        )


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        ("", {9}),
        ("latest { num_versions: 2 }", {4, 9}),
        ("all { }", {1, 4, 9}),
        ("specific { versions: [1, 9, 77] }", {1, 9}),
    ],
    ids=["default", "latest", "all", "specific"],
)
def test_policies(tmp_path, policy, chosen):
    config = single_model("m", tmp_path)
    if policy:
        entry = config.model_config_list.config[0]
        text_format.Parse(policy, entry.model_version_policy)
    model = read_models(config)["m"]
    found = {number: tmp_path / str(number) for number in (1, 4, 9)}
    assert set(model.policy.choose(found)) == chosen
