"""Metrics in Prometheus' text format, with TensorFlow Serving's names."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain"
_LATENCY_BUCKETS = tuple(10 * 1.8**power for power in range(33))
"""Microseconds; from 10 to about 20 minutes."""


class _RequestCount(Collector):
    """Counts requests by model and status.

    prometheus-client's own counter would add `_total` to the name.
    """

    name = ":tensorflow:serving:request_count"

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def count(self, model_name: str, status: str) -> None:
        """Count one request."""
        with self._lock:
            self._counts[model_name, status] += 1

    def collect(self) -> Iterator[Metric]:
        metric = Metric(self.name, "The total number of requests.", "unknown")
        with self._lock:
            counts = sorted(self._counts.items())
        for (model_name, status), count in counts:
            labels = {"model_name": model_name, "status": status}
            metric.add_sample(self.name, labels, count)
        yield metric


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = _RequestCount()
        self._registry.register(self._requests)
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Distribution of wall time (in microseconds) for requests.",
            ("model_name", "API", "entrypoint"),
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._series = functools.cache(self._latency.labels)

    def record(
        self, model_name: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        """Count one answered request.

        Args:
            model_name: Name of a configured model.
            api: `Predict`, `Classify`, `Regress` or `MultiInference`.
            entrypoint: `GRPC` or `REST`.
            status: Name of the status, as `OK`.
            seconds: Duration of the request.
        """
        self._requests.count(model_name, status)
        if status == "OK":
            self._series(model_name, api, entrypoint).observe(seconds * 1e6)

    def render(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)
