"""Measure a server under load that arrives on a fixed schedule (an open loop).

The schedule doesn't wait for answers. If a request is sent late because all connections
were busy, its latency still counts from the time it was due. Otherwise a server that
stops for a second would delay one measured request, not the hundred that users would
have sent in that second (coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from graft_client import wire
from graft_client.protos import serving_pb2 as pb

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
_BAR_WIDTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """How to load a server."""

    rate_per_second: float
    """Requests per second on average."""
    duration_seconds: float = 10.0
    """How long requests arrive."""
    concurrency: int = 32
    """Most requests in flight. More wait, and the wait is part of their latency."""
    images_per_request: int = 1
    deadline_seconds: float = 30.0
    """Longest time of a request, from when it is sent."""
    is_random: bool = True
    """Arrivals at random moments (a Poisson process), or evenly spaced."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: If a number isn't positive.
        """
        for name in (
            "rate_per_second",
            "duration_seconds",
            "concurrency",
            "images_per_request",
            "deadline_seconds",
        ):
            value = getattr(self, name)
            if value <= 0:
                raise ValueError(f"`{name}` must be positive. Received: {name}={value}")

    def arrivals(self) -> list[float]:
        """Return when each request is due, in seconds from the start."""
        if not self.is_random:
            count = int(self.rate_per_second * self.duration_seconds)
            return [number / self.rate_per_second for number in range(count)]
        generator = random.Random(self.seed)  # noqa: S311 - not for cryptography
        moments = []
        moment = generator.expovariate(self.rate_per_second)
        while moment < self.duration_seconds:
            moments.append(moment)
            moment += generator.expovariate(self.rate_per_second)
        return moments


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """Figures of one measurement. Times are in seconds, of answered requests only."""

    plan: LoadPlan
    latencies: list[float] = field(repr=False)
    """From when a request was due to its answer."""
    service_times: list[float] = field(repr=False)
    """From when a request was sent to its answer."""
    due: list[float] = field(repr=False)
    """When each answered request was due, in seconds from the start."""
    errors: Counter[str]
    """Failed requests by status."""
    elapsed_seconds: float
    """From the first arrival to the last answer."""

    @property
    def throughput(self) -> float:
        """Answered requests per second."""
        return len(self.latencies) / self.elapsed_seconds

    def percentile(self, percent: float) -> float:
        """Return the latency that `percent` of the answers kept below, in seconds."""
        return percentile(self.latencies, percent)

    def text(self) -> str:
        """Return a report with a bar chart of the percentiles."""
        plan = self.plan
        lines = [
            f"offered    {plan.rate_per_second:10.1f} requests/s for "
            f"{plan.duration_seconds:g} s, {plan.images_per_request} image(s) each, "
            f"at most {plan.concurrency} in flight",
            f"answered   {self.throughput:10.1f} requests/s, {len(self.latencies)} "
            f"requests",
            f"failed     {sum(self.errors.values()):10d} "
            + ", ".join(f"{name}: {n}" for name, n in sorted(self.errors.items())),
        ]
        if not self.latencies:
            return "\n".join(lines)
        largest = max(self.latencies)
        lines.append("latency in ms, from when a request was due (sent):")
        points = [(f"p{percent:g}", percent) for percent in PERCENTILES]
        for name, percent in [*points, ("max", 100.0)]:
            value = self.percentile(percent)
            sent = percentile(self.service_times, percent)
            bar = "#" * max(1, round(_BAR_WIDTH * value / largest))
            lines.append(f"{name:>6} {value * 1e3:10.1f} ({sent * 1e3:.1f}) {bar}")
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the figures as JSON, latencies in milliseconds."""
        figures: dict[str, Any] = {
            "rate_per_second": self.plan.rate_per_second,
            "duration_seconds": self.plan.duration_seconds,
            "concurrency": self.plan.concurrency,
            "answered": len(self.latencies),
            "throughput_per_second": self.throughput,
            "errors": dict(self.errors),
        }
        if self.latencies:
            figures["latency_ms"] = {
                f"p{percent:g}": self.percentile(percent) * 1e3
                for percent in PERCENTILES
            }
            figures["latency_ms"]["max"] = max(self.latencies) * 1e3
        return json.dumps(figures, indent=2)

    def plot(self, path: Path) -> None:
        """Draw latency over time, and over percentiles, into a PNG or SVG."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        over_time, over_percent = figure.subplots(1, 2)
        milliseconds = [value * 1e3 for value in self.latencies]
        over_time.scatter(self.due, milliseconds, s=4)
        over_time.set(xlabel="due at, s", ylabel="latency, ms", ylim=(0, None))
        ranked = sorted(milliseconds)
        percents = [100 * (n + 1) / len(ranked) for n in range(len(ranked))]
        over_percent.plot(percents, ranked)
        over_percent.set(xlabel="percentile", ylabel="latency, ms", ylim=(0, None))
        figure.suptitle(
            f"{self.plan.rate_per_second:g} requests/s offered, "
            f"{self.throughput:.1f} answered, {sum(self.errors.values())} failed"
        )
        figure.savefig(path)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values don't exceed."""
    ranked = sorted(values)
    return ranked[max(0, -int(-len(ranked) * percent // 100) - 1)]


async def measure(
    target: str, name: str, images: Sequence[bytes], plan: LoadPlan
) -> LoadResult:
    """Send the planned load to a server and return the figures.

    Args:
        target: `HOST:PORT` of gRPC.
        name: The model's name.
        images: Encoded images, sent in turn.
        plan: Rate, duration and limits.

    Raises:
        ValueError: If there are no images.
    """
    if not images:
        raise ValueError("`images` must not be empty")
    requests = _requests(name, images, plan.images_per_request)
    latencies: list[float] = []
    service_times: list[float] = []
    due_times: list[float] = []
    errors: Counter[str] = Counter()
    free = asyncio.Semaphore(plan.concurrency)
    # No retries: refusals are counted.
    options = wire.channel_options(max_attempts=1)
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        call = channel.unary_unary(wire.PREDICT_METHOD)
        await call(requests[0], timeout=plan.deadline_seconds)
        started = time.perf_counter()

        async def send(number: int, due: float) -> None:
            async with free:
                sent = time.perf_counter() - started
                try:
                    await call(
                        requests[number % len(requests)], timeout=plan.deadline_seconds
                    )
                except grpc.aio.AioRpcError as error:
                    errors[error.code().name] += 1
                    return
                answered = time.perf_counter() - started
            latencies.append(answered - due)
            service_times.append(answered - sent)
            due_times.append(due)

        tasks = []
        for number, due in enumerate(plan.arrivals()):
            await asyncio.sleep(max(0.0, due - (time.perf_counter() - started)))
            tasks.append(asyncio.ensure_future(send(number, due)))
        await asyncio.gather(*tasks)
        elapsed_seconds = time.perf_counter() - started
    return LoadResult(
        plan=plan,
        latencies=latencies,
        service_times=service_times,
        due=due_times,
        errors=errors,
        elapsed_seconds=elapsed_seconds,
    )


def _requests(name: str, images: Sequence[bytes], size: int) -> list[bytes]:
    """Return serialized requests that go through the images in turn."""
    choice = wire.ModelChoice(name=name)
    requests = []
    for start in range(0, len(images), size):
        chosen = [images[(start + n) % len(images)] for n in range(size)]
        request: pb.PredictRequest = wire.images_request(choice, chosen)
        requests.append(request.SerializeToString())
    return requests
