"""Earlier runs are found by number or id; otherwise a message has the remedy."""

from __future__ import annotations

import datetime

import pytest

from graft.contract.errors import UserError
from graft.pipeline.config import METADATA_FILE, PIPELINES_FOLDER
from graft.pipeline.local.last_run import remember_run
from graft.pipeline.local.run_history import Run, choose_run, find_metadata, list_runs


def runs(count):
    started = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
    return [
        Run(number, f"id-{number}", started, 1.0, "complete", {}, {})
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("name", "default", "number"),
    [(None, -1, 3), (None, -2, 2), ("1", -1, 1), ("id-2", -1, 2)],
)
def test_run_is_chosen(name, default, number):
    assert choose_run(runs(3), name, default).number == number


@pytest.mark.parametrize(
    ("count", "name", "default", "message"),
    [
        (0, None, -1, "needs 1 run, and there are 0"),
        (1, None, -2, "needs 2 runs, and there is 1"),
        (2, "9", -1, "no run '9'; runs are numbered 1 to 2"),
    ],
)
def test_run_that_does_not_exist(count, name, default, message):
    with pytest.raises(UserError, match=message):
        choose_run(runs(count), name, default)


def test_the_last_pipeline_of_several_is_taken_and_said(tmp_path, capsys):
    with pytest.raises(UserError, match="No pipeline has run"):
        find_metadata(tmp_path, None)
    for name in ("cats", "dogs"):
        folder = tmp_path / PIPELINES_FOLDER / name
        folder.mkdir(parents=True)
        (folder / METADATA_FILE).touch()
        remember_run(str(folder), model=name, data="")
    assert find_metadata(tmp_path, None).parent.name == "dogs"
    told = capsys.readouterr().err
    assert "pipeline `dogs`, that of the last run. Others: cats" in told
    assert find_metadata(tmp_path, "cats").parent.name == "cats"
    with pytest.raises(UserError, match="must be one of: cats, dogs"):
        find_metadata(tmp_path, "mice")


def test_store_without_runs_has_none(tmp_path):
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    path = tmp_path / METADATA_FILE
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    MetadataStore(connection)
    assert list_runs(path) == []
