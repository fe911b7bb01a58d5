"""The memory of all requests: counted, refused beyond the limit, released."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("tensorflow_serving")
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.transport.request_memory import (
    RequestMemory,
    default_limit,
)


def test_requests_share_the_limit():
    memory = RequestMemory(100)
    with memory.reserve() as first:
        first.grow_to(60)
        first.grow_to(50)
        with memory.reserve() as second:
            second.grow_to(40)
            with pytest.raises(StatusError, match="max_request_memory_bytes=100"):
                second.grow_to(41)
            with pytest.raises(StatusError) as caught:
                first.grow_to(61)
            assert caught.value.http_status == 429
        first.grow_to(100)
    with memory.reserve() as third:
        third.grow_to(100)


def test_the_default_leaves_room_for_models():
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < default_limit() <= pages // 2
