"""Load measurement: the schedule, the percentiles, and counted waiting times."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from graft.serving.load import LoadPlan, LoadResult, measure, percentile


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100), (0, 1)]
)
def test_percentile_is_the_nearest_rank(percent, expected):
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_arrivals_keep_the_rate():
    plan = LoadPlan(rate_per_second=200, duration_seconds=10)
    moments = plan.arrivals()
    assert 1800 < len(moments) < 2200
    assert moments == sorted(moments)
    assert moments[-1] < 10
    assert moments == plan.arrivals()
    even = LoadPlan(rate_per_second=4, duration_seconds=1, is_random=False)
    assert even.arrivals() == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("name", ["rate_per_second", "duration_seconds", "concurrency"])
def test_a_plan_is_checked(name):
    with pytest.raises(ValueError, match=f"`{name}` must be positive"):
        LoadPlan(**{"rate_per_second": 1, name: 0})


def test_a_server_is_measured(server, colours, tmp_path):
    plan = LoadPlan(rate_per_second=40, duration_seconds=2)
    result = asyncio.run(measure(server.target, "colours", [colours["red"]], plan))
    assert len(result.latencies) == len(plan.arrivals())
    assert not result.errors
    assert result.percentile(50) <= result.percentile(99) <= max(result.latencies)
    assert "p99" in result.text()
    figures = json.loads(result.to_json())
    assert figures["answered"] == len(result.latencies)
    result.plot(tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_waiting_for_a_busy_server_counts(server, colours):
    # Only one request at a time: the last ones wait for nearly all others.
    plan = LoadPlan(
        rate_per_second=2000, duration_seconds=0.2, concurrency=1, is_random=False
    )
    result = asyncio.run(measure(server.target, "colours", [colours["red"]], plan))
    assert len(result.latencies) == 400
    assert max(result.latencies) > 0.5 * sum(result.service_times) - 0.2
    assert result.percentile(90) > 5 * percentile(result.service_times, 50)


def test_refusals_are_counted_by_status(server):
    plan = LoadPlan(rate_per_second=20, duration_seconds=0.5)

    async def work():
        import grpc

        with pytest.raises(grpc.aio.AioRpcError):
            await measure(server.target, "colours", [b"no image"], plan)

    asyncio.run(work())
    result = LoadResult(
        plan=plan,
        latencies=[],
        service_times=[],
        due=[],
        errors=Counter(UNAVAILABLE=3),
        elapsed_seconds=1,
    )
    assert "UNAVAILABLE: 3" in result.text()
