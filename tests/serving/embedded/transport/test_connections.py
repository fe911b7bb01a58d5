"""How many threads and descriptors a process may have."""

from __future__ import annotations

import os
import resource

import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded.options import Options
from graft.serving.embedded.transport import connections, grpc_server


@pytest.fixture
def limit(tmp_path, monkeypatch):
    """Set the limits of a container and of the user; None: none."""

    def set_limits(container=None, user=None):
        path = tmp_path / "pids.max"
        path.write_text("max" if container is None else str(container))
        (tmp_path / "pids.current").write_text("28\n")
        monkeypatch.setattr(connections, "_THREAD_LIMITS", (path, tmp_path / "no"))
        soft = resource.RLIM_INFINITY if user is None else user
        monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, soft))
        monkeypatch.setattr(connections, "_threads_of_user", lambda user: 50)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)

    return set_limits


@pytest.mark.parametrize(
    ("container", "user", "free"),
    [(None, None, None), (128, None, 100), (None, 128, 78), (128, 70, 20), (8, 8, 0)],
)
def test_free_threads(limit, container, user, free):
    limit(container, user)
    assert connections.free_threads() == free


def test_root_has_no_limit_of_a_user(limit, monkeypatch):
    limit(user=60)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert connections.free_threads() is None


def test_threads_of_this_user_are_counted():
    own = len(os.listdir("/proc/self/task"))
    assert connections._threads_of_user(os.geteuid()) >= own


@pytest.mark.parametrize(
    ("container", "calls"), [(None, 520), (10_000, 520), (228, 136), (50, 4)]
)
def test_calls_keep_to_the_threads(limit, container, calls):
    limit(container)
    assert grpc_server.max_open_calls(Options(grpc_max_threads=8)) == calls
