"""What becomes of a version that is given up while it loads."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("tensorflow_serving")
from tensorflow_serving.config import model_server_config_pb2

from graft.serving.embedded.loading.manager import Manager
from graft.serving.embedded.loading.model_config import single_model
from graft.serving.embedded.loading.versions import State


def test_a_load_that_is_given_up_ends_as_cancelled(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    nothing = model_server_config_pb2.ModelServerConfig()
    nothing.model_config_list.SetInParent()

    async def give_up():
        begun = asyncio.Event()

        async def load(name, number, path):
            begun.set()
            await asyncio.Event().wait()

        manager = Manager(load)
        waiting = asyncio.ensure_future(
            manager.configure(single_model("m", tmp_path / "m"))
        )
        await begun.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await manager.configure(nothing)
        await asyncio.sleep(0.01)
        (version,) = manager.statuses("m")
        await manager.close()
        return version

    version = asyncio.run(give_up())
    assert version.state is State.END
    assert str(version.error) == "CANCELLED: Loading of servable cancelled"
