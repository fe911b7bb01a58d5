"""A damaged metadata store is named, with what is lost by moving it away."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from typer.testing import CliRunner

from graft.contract.errors import UserError
from graft.pipeline.cli import app
from graft.pipeline.config import METADATA_FILE
from graft.pipeline.local.metadata_check import require_intact
from graft.pipeline.local.run_history import list_runs


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with runs."""
    path = tmp_path_factory.mktemp("store") / METADATA_FILE
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(path)
    store = MetadataStore(connection)
    kind = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
    store.put_contexts(
        [mlmd.Context(type_id=kind, name=f"run {number}") for number in range(300)]
    )
    return path


def test_an_intact_or_missing_store_is_fine(intact: Path, tmp_path: Path) -> None:
    require_intact(intact)
    require_intact(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
    assert len(list_runs(intact)) == 300


@given(
    start=st.floats(0, 1) | st.floats(0.4, 0.5),
    content=st.binary(min_size=1, max_size=3) | st.binary(min_size=1, max_size=20_000),
    cut=st.booleans(),
)
@example(start=0.42578125, content=b"\x80", cut=False)
@example(start=0.421875, content=b"\x01", cut=False)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_damage_is_a_users_error_or_no_damage(
    intact: Path, tmp_path: Path, start: float, content: bytes, cut: bool
) -> None:
    damaged = tmp_path / METADATA_FILE
    data = bytearray(intact.read_bytes())
    place = int(start * len(data))
    if cut:
        data = data[:place]
    else:
        data[place : place + len(content)] = content
    damaged.write_bytes(data)
    try:
        runs = list_runs(damaged)
    except UserError as error:
        assert repr(str(damaged)) in str(error)
        assert "Traceback" not in str(error)
    else:
        # Damage within a text or a free page is no damage of the structure.
        assert len(runs) <= 300


@pytest.mark.parametrize("damage", ["noise", "cut", "folder"])
def test_the_command_that_is_offered_mends_it(
    damage: str, intact: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pipelines" / "my cats" / METADATA_FILE
    path.parent.mkdir(parents=True)
    if damage == "folder":
        path.mkdir()
    elif damage == "cut":
        path.write_bytes(intact.read_bytes()[:50_000])
    else:
        path.write_bytes(b"noise" * 1000)
    done = CliRunner().invoke(app, ["runs", "--output", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    message = str(done.exception)
    command = message.partition("move it away: ")[2].splitlines()[0]
    subprocess.run(shlex.split(command), check=True)
    assert not path.exists()
    shutil.copy(intact, path)
    assert CliRunner().invoke(app, ["runs", "--output", str(tmp_path)]).exit_code == 0
