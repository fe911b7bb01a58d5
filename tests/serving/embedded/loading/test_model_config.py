"""Version folders, and the choice of a version policy."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded.loading.model_config import (
    find_versions,
    read_models,
    single_model,
)


def test_request_logging_is_ignored():
    config = single_model("m", "/m")
    logging = config.model_config_list.config[0].logging_config
    logging.sampling_config.sampling_rate = 1.0
    assert read_models(config) == read_models(single_model("m", "/m"))


def test_a_version_is_a_whole_number(tmp_path):
    names = ("1", "00000123", "7", "07", "v2", "3.0", "-4", ".5", "6 ", str(2**63))
    for name in names:
        (tmp_path / name).mkdir()
    found = find_versions(tmp_path)
    assert found == {
        1: tmp_path / "1",
        123: tmp_path / "00000123",
        7: tmp_path / "7",
    }


def test_a_base_path_that_is_not_there_differs_from_an_empty_one(tmp_path):
    assert find_versions(tmp_path) == {}
    assert find_versions(tmp_path / "nowhere") is None


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
        from google.protobuf import text_format

        entry = config.model_config_list.config[0]
        text_format.Parse(policy, entry.model_version_policy)
    model = read_models(config)["m"]
    found = {number: tmp_path / str(number) for number in (1, 4, 9)}
    assert set(model.policy.choose(found)) == chosen
