"""Metrics in Prometheus' text format, with TensorFlow Serving's names."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain"
_LATENCY_BUCKETS = tuple(10 * 1.8**power for power in range(33))
"""Microseconds; from 10 to about 20 minutes."""
_BOUNDS = (*(f"{bound:.6g}" for bound in _LATENCY_BUCKETS), "+Inf")
"""As TensorFlow Serving writes them: a query may join the series of both servers."""


class _Requests(Collector):
    """Counts requests by model and status, and times those that succeed.

    prometheus-client's own counter would add `_total` to the name, and its histogram
    would write other bounds.
    """

    count_name = ":tensorflow:serving:request_count"
    latency_name = ":tensorflow:serving:request_latency"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._buckets: dict[tuple[str, str, str], list[int]] = {}
        self._sums: Counter[tuple[str, str, str]] = Counter()

    def add(
        self, model_name: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        """Count one request."""
        microseconds = seconds * 1e6
        series = model_name, api, entrypoint
        with self._lock:
            self._counts[model_name, status] += 1
            if status == "OK":
                buckets = self._buckets.setdefault(series, [0] * len(_BOUNDS))
                buckets[bisect_right(_LATENCY_BUCKETS, microseconds)] += 1
                self._sums[series] += microseconds  # type: ignore[assignment]

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            counts = sorted(self._counts.items())
            latencies = sorted(
                (key, list(value), self._sums[key])
                for key, value in self._buckets.items()
            )
        name = self.count_name
        metric = Metric(name, "The total number of requests.", "unknown")
        for (model_name, status), count in counts:
            labels = {"model_name": model_name, "status": status}
            metric.add_sample(name, labels, count)
        yield metric
        name = self.latency_name
        text = "Distribution of wall time (in microseconds) for requests."
        metric = Metric(name, text, "histogram")
        for (model_name, api, entrypoint), buckets, total in latencies:
            labels = {"model_name": model_name, "API": api, "entrypoint": entrypoint}
            count = 0
            for bound, in_bucket in zip(_BOUNDS, buckets, strict=True):
                count += in_bucket
                metric.add_sample(f"{name}_bucket", {**labels, "le": bound}, count)
            metric.add_sample(f"{name}_sum", labels, total)
            metric.add_sample(f"{name}_count", labels, count)
        yield metric


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = _Requests()
        self._registry.register(self._requests)

    def record(
        self, model_name: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        """Count one answered request.

        Args:
            model_name: Name of a configured model.
            api: `Predict`, `Classify` or `Regress`; by REST `predict`, `classify`,
                `regress`, or nothing for other requests.
            entrypoint: `GRPC` or `REST`.
            status: Name of the status, as `OK`.
            seconds: Duration of the request.
        """
        self._requests.add(model_name, api, entrypoint, status, seconds)

    def render(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)
