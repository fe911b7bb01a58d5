"""Tiny requests by the million: does the server's memory stay flat?

    python tests/benchmarks/server_memory.py graft_output/serving/graft/1

The requests ask graft's own export for the labels of empty examples, which runs the
graph but no image's decoding: what is measured is the server, not the network.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from server_processes import NAME, Server, serve

from graft.contract import example_keys, signature_names
from graft_client import wire
from graft_client.protos import serving_pb2 as pb

_IN_FLIGHT = 32
_NUM_SAMPLES = 20


def tiny_request() -> bytes:
    """Return a request of some 100 bytes that a graft export answers at once."""
    feature = pb.Example.Feature(bytes_list=pb.Example.BytesList(value=[b"none"]))
    example = pb.Example(
        features=pb.Example.Features(feature={example_keys.CLASS_NAME_KEY: feature})
    )
    request = pb.PredictRequest(
        model_spec=wire.ModelChoice(name=NAME).spec(signature_names.LABELS_SIGNATURE),
        inputs={
            signature_names.EXAMPLES_INPUT: wire.string_tensor(
                [example.SerializeToString()]
            )
        },
    )
    data: bytes = request.SerializeToString()
    return data


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
    """Send requests, and return how the server's memory (MiB) developed.

    Args:
        server: A server over one of graft's exports.
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
    """Run a server over a version, send it requests, and write what came of it."""
    parser = argparse.ArgumentParser(description="Memory over many requests.")
    parser.add_argument("version", type=Path, help="Folder with saved_model.pb")
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        base_path = Path(folder) / NAME
        shutil.copytree(options.version, base_path / "1")
        with serve(base_path) as server:
            figures = soak(server, options.requests)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
