"""A server that starts before the canary is the canary's, and never stays behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graft.components.canary import early_start
from graft.components.canary.config import CanaryConfig
from graft.components.canary.early_start import EarlyServer, offered
from graft.components.canary.server_process import ServerError, ServerProcess
from graft.components.canary.trial import try_model

# A node's thread starts the server and ends. The process is killed while the server
# waits for a model.
START = """
import threading, time
from pathlib import Path
from graft.components.canary.early_start import EarlyServer

def start(early):
    early.start()
    # Until it has asked the kernel to end with this process, and is the server.
    command = Path(f"/proc/{early._server._process.pid}/cmdline")
    while b"child_process" in command.read_bytes():
        time.sleep(0.1)

with EarlyServer(120) as early:
    node = threading.Thread(target=start, args=[early])
    node.start()
    node.join()
    time.sleep(1)
    server = early._server
    print(server._process.pid, int(server.is_alive()), flush=True)
    time.sleep(300)
"""


def test_the_canary_takes_the_server_of_its_model_alone(model: str) -> None:
    with EarlyServer(120) as early:
        early.start()
        early.give(model)
        early.give("/another/model")
        with offered(early):
            assert early_start.take("/another/model") is None
            taken = early_start.take(model)
            assert early_start.take(model) is None
        assert early_start.take(model) is None
    assert taken is not None
    with taken as server:
        assert server.is_alive()
        assert 0 < server.start_seconds < 120
        process = server._process
    assert process is not None
    assert process.poll() is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("has_model", [True, False], ids=["loading", "waiting"])
def test_no_server_stays_after_a_run_that_fails(
    model: str, has_model: bool, error: type[BaseException]
) -> None:
    with pytest.raises(error), EarlyServer(120) as early:
        early.start()
        if has_model:
            early.give(model)
        server = early._server
        raise error
    assert isinstance(server, ServerProcess)
    assert server._process is not None
    assert server._process.poll() is not None
    assert not Path(server._folder.name).exists()


def test_a_model_that_does_not_load_fails_the_canary_and_nothing_before(
    tmp_path: Path,
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with EarlyServer(5) as early:
        early.give(str(tmp_path))
        taken = early.take(str(tmp_path))
    assert taken is not None
    with pytest.raises(ServerError, match="was not served within 5 s"), taken:
        pass


def test_a_server_that_can_not_start_early_is_left_to_the_canary(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with EarlyServer(120) as early, offered(early):
        early.start()
        early.give(model)
        assert early_start.take(model) is None


def test_the_trial_asks_the_server_that_was_started_early(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EarlyServer(120) as early, offered(early):
        early.give(model)
        server = early._server
        asked = []
        monkeypatch.setattr(
            "graft.components.canary.trial._run_checks",
            lambda server, *_: asked.append(server),
        )
        try_model(model, [], CanaryConfig())
    assert asked == [server]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills such children")
def test_it_outlives_the_node_that_started_it_and_ends_with_the_run() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", START], stdout=subprocess.PIPE, text=True
    )
    try:
        assert run.stdout is not None
        server_id, is_alive = map(int, run.stdout.readline().split())
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert is_alive
    deadline = time.monotonic() + 20
    while _is_alive(server_id) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_alive(server_id)


def _is_alive(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
