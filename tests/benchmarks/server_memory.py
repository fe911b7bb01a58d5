"""Measure the server's memory over a million tiny requests.

    python tests/benchmarks/server_memory.py --requests 1000000

The model returns the length of each image's bytes, so that the server is measured and
not the network.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from server_processes import NAME, Server, serve

from graft.contract import signature_names
from graft_client import wire

_IN_FLIGHT = 32
_NUM_SAMPLES = 20


def tiny_request() -> bytes:
    """Return a request of some 100 bytes for `save_tiny_model`."""
    request = wire.images_request(wire.ModelChoice(name=NAME), [b"none"])
    data: bytes = request.SerializeToString()
    return data


def save_tiny_model(folder: Path) -> None:
    """Save a model that returns the number of bytes of each image."""
    import tensorflow as tf

    module = tf.Module()
    images = tf.TensorSpec([None], tf.string, signature_names.IMAGES_INPUT)
    module.size = tf.function(
        lambda images: {"size": tf.strings.length(images)}, input_signature=[images]
    )
    signatures = {signature_names.IMAGES_SIGNATURE: module.size}
    tf.saved_model.save(module, str(folder), signatures)


async def _send(target: str, count: int) -> None:
    data = tiny_request()
    numbers: Iterator[int] = iter(range(count))
    options = wire.channel_options(max_attempts=1)
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        call = channel.unary_unary(wire.PREDICT_METHOD)

        async def client() -> None:
            for _ in numbers:
                await call(data, timeout=120)

        await asyncio.gather(*(client() for _ in range(_IN_FLIGHT)))


def soak(server: Server, num_requests: int) -> dict[str, Any]:
    """Send requests, and return the server's memory (MiB) over time.

    Args:
        server: A server over `save_tiny_model`.
        num_requests: How many; the memory is read 20 times on the way.
    """
    started = time.perf_counter()
    memory = []
    for _ in range(_NUM_SAMPLES):
        asyncio.run(_send(server.target, num_requests // _NUM_SAMPLES))
        memory.append(server.memory_mib())
        sys.stderr.write(f"{time.perf_counter() - started:.0f} s {memory[-1]:.1f}\n")
    seconds = time.perf_counter() - started
    return {
        "soak_requests": num_requests // _NUM_SAMPLES * _NUM_SAMPLES,
        "soak_seconds": seconds,
        "soak_memory_mib": memory,
        "soak_growth_after_a_tenth_mib": memory[-1] - memory[1],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a server, send it requests, and write the result."""
    parser = argparse.ArgumentParser(description="Memory over many requests.")
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        base_path = Path(folder) / NAME
        save_tiny_model(base_path / "1")
        with serve(base_path) as server:
            figures = soak(server, options.requests)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
