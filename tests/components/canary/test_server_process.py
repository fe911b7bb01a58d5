"""The canary's server: nobody else reaches it, and it ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graft.components.canary.server_process import ServerProcess

START = """
import sys, time
from graft.components.canary.server_process import ServerProcess

with ServerProcess(sys.argv[1], 120) as server:
    print(server._process.pid, server._folder.name, flush=True)
    time.sleep(300)
"""


def listening_tcp_ports(process_id: int) -> set[str]:
    """Return the local addresses on which a process listens: proc(5), net/tcp."""
    links = set()
    for link in Path(f"/proc/{process_id}/fd").iterdir():
        try:
            links.add(os.readlink(link))
        except FileNotFoundError:
            continue
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
                addresses.add(fields[1])
    return addresses


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("folder", ["short", "long" * 25])
def test_it_listens_on_no_port_of_the_network(
    folder: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / folder))
    with ServerProcess(model, 120) as server:
        assert server._process is not None
        assert listening_tcp_ports(server._process.pid) == set()
        used = Path(server._folder.name)
        assert used.stat().st_mode & 0o077 == 0
    assert not used.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills such children")
def test_it_ends_with_its_parent(model: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START, model], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        server_id = int(parent.stdout.readline().split()[0])
        os.kill(server_id, 0)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
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
