"""Measure the embedded server, as ratios within one run on one machine.

    python tests/benchmarks/server_figures.py VERSION photos/ --json figures.json

Each figure is compared with the bare model in its own process, on the same images.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import http.client
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from server_processes import NAME, BareModel, Server, serve

from graft.contract import signature_names
from graft.serving.image_files import find_images
from graft.serving.load import LoadPlan, measure, percentile
from graft_client import AsyncPredictionClient, wire

NUM_CLIENTS = 32
NUM_SWAPS = 3
NUM_TURNS = 8
"""Number of turns with single calls in a round."""
TURN_CALLS = 5
"""Calls one after another in a turn; the first of each is left out: it finds the
processor's caches full of what another process computed."""
BATCHING = (
    "max_batch_size { value: 8 } batch_timeout_micros { value: 2000 }\n"
    "max_enqueued_batches { value: 100 } num_batch_threads { value: %d }"
)
"""With as many threads as cores."""
ONE_CORE_FLAG = "--tensorflow_intra_op_parallelism=1"
"""One core per op: many concurrent requests keep all cores busy."""

# Gives a version warm-up requests, as an export has them; in a process of its own.
_WRITE_WARM_UP = """
import sys
from graft.serving import tensorflow_runtime
tensorflow_runtime.load_lean()
from pathlib import Path
from tensorflow.python.lib.io import tf_record
from tensorflow_serving.apis import prediction_log_pb2
from graft_client import wire
file, images = Path(sys.argv[1]), [Path(name).read_bytes() for name in sys.argv[2:]]
file.parent.mkdir(exist_ok=True)
with tf_record.TFRecordWriter(str(file)) as writer:
    request = wire.images_request(wire.ModelChoice(name="any"), images)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.ParseFromString(request.SerializeToString())
    writer.write(log.SerializeToString())
"""


def _single_grpc(
    channel: grpc.Channel, images: Sequence[bytes], count: int
) -> list[float]:
    """Return the seconds of each call, one after another."""
    seconds = []
    choice = wire.ModelChoice(name=NAME)
    call = channel.unary_unary(wire.PREDICT_METHOD)
    for image in itertools.islice(itertools.cycle(images), count):
        request = wire.images_request(choice, [image]).SerializeToString()
        begin = time.perf_counter()
        call(request, timeout=60)
        seconds.append(time.perf_counter() - begin)
    return seconds


def _single_rest(
    connection: http.client.HTTPConnection, images: Sequence[bytes], count: int
) -> list[float]:
    seconds = []
    for image in itertools.islice(itertools.cycle(images), count):
        value = {"b64": base64.b64encode(image).decode("ascii")}
        body = json.dumps(
            {"signature_name": signature_names.IMAGES_SIGNATURE, "instances": [value]}
        )
        begin = time.perf_counter()
        connection.request("POST", f"/v1/models/{NAME}:predict", body)
        reply = connection.getresponse()
        text = reply.read()
        seconds.append(time.perf_counter() - begin)
        if reply.status != http.client.OK:
            raise RuntimeError(f"REST answered {reply.status}: {text[:200]!r}")
    return seconds


async def _closed_loop(
    server: Server, images: Sequence[bytes], seconds: float
) -> tuple[float, float]:
    """Return what 32 clients get that each send one image at a time.

    Images per second, and the server's processor time an image in milliseconds.
    """
    choice = wire.ModelChoice(name=NAME)
    requests = [
        wire.images_request(choice, [image]).SerializeToString() for image in images
    ]
    options = wire.channel_options(max_attempts=1)
    count = 0
    cpu_seconds = server.cpu_seconds()
    begin = time.perf_counter()
    async with grpc.aio.insecure_channel(server.target, options=options) as channel:
        call = channel.unary_unary(wire.PREDICT_METHOD)

        async def client(number: int) -> None:
            nonlocal count
            while time.perf_counter() - begin < seconds:
                await call(requests[(number + count) % len(requests)], timeout=60)
                count += 1

        await asyncio.gather(*(client(number) for number in range(NUM_CLIENTS)))
    cpu_seconds = server.cpu_seconds() - cpu_seconds
    return count / (time.perf_counter() - begin), cpu_seconds / count * 1e3


async def _swap(
    server: Server, base_path: Path, number: int, images: Sequence[bytes], rate: float
) -> dict[str, float]:
    """Publish a version in the middle of a steady load."""
    duration = 24.0
    plan = LoadPlan(rate_per_second=rate, duration_seconds=duration, concurrency=128)

    async def publish() -> float:
        """Publish during the load; return the seconds until the version serves."""
        prepared = base_path.parent / "prepared"
        await asyncio.to_thread(shutil.copytree, base_path / "1", prepared)
        await asyncio.sleep(duration / 2)
        await asyncio.to_thread(prepared.rename, base_path / str(number))
        begin = time.perf_counter()
        async with AsyncPredictionClient(server.target, name=NAME) as client:
            while (await client.model_status()).get(number) != wire.AVAILABLE:
                await asyncio.sleep(0.1)
        return time.perf_counter() - begin

    publishing = asyncio.ensure_future(publish())
    result = await measure(server.target, NAME, images, plan)
    swap_seconds = await publishing
    before = [
        latency
        for latency, due in zip(result.latencies, result.due, strict=True)
        if 1.0 < due < duration / 2
    ]
    during = [
        latency
        for latency, due in zip(result.latencies, result.due, strict=True)
        if due >= duration / 2
    ]
    return {
        "swap_seconds": swap_seconds,
        "swap_failed_requests": sum(result.errors.values()),
        "swap_requests": len(result.latencies),
        "swap_p99_before_ms": percentile(before, 99) * 1e3,
        "swap_p99_during_ms": percentile(during, 99) * 1e3,
        "swap_p99_ratio": percentile(during, 99) / percentile(before, 99),
    }


def run_benchmark(
    version_path: Path, image_paths: Sequence[Path], rounds: int = 5
) -> dict[str, Any]:
    """Measure the embedded server with one SavedModel, and return the figures.

    Bare model and servers take turns, several rounds of a few seconds, and a ratio is
    the median over rounds: what else the machine does then meets all of them.

    Args:
        version_path: Folder that holds `saved_model.pb`.
        image_paths: Images that the model reads; 64 are used at most.
        rounds: How many.

    Raises:
        ValueError: If there is no image, or no SavedModel.
    """
    if not (version_path / "saved_model.pb").is_file():
        raise ValueError(f"{version_path} holds no saved_model.pb")
    paths = list(image_paths)[:64]
    if not paths:
        raise ValueError("`image_paths` must not be empty")
    images = [path.read_bytes() for path in paths]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base_path = folder / NAME
        _publish_first(version_path, base_path, paths[0])
        plain = stack.enter_context(serve(base_path))
        figures: dict[str, Any] = {
            "start_to_ready_seconds": plain.ready_seconds,
            "start_to_ready_cpu_seconds": plain.cpu_seconds(),
        }
        single_core = stack.enter_context(serve(base_path, ONE_CORE_FLAG))
        # An own folder, because each server loads what is published in its folder.
        swapped_path = folder / "swapped"
        shutil.copytree(base_path, swapped_path)
        flags = _batching_flags(folder / "batching.config")
        gathering = stack.enter_context(serve(swapped_path, ONE_CORE_FLAG, *flags))
        alone = BareModel(version_path, paths)
        stack.callback(alone.close)
        found = [
            _round(alone, plain, single_core, gathering, images)
            for _ in range(rounds + 1)
        ]
        # The first warms everything up.
        for name in found[0]:
            figures[name] = statistics.median(each[name] for each in found[1:])
        figures["in_process_memory_mib"] = alone.ask("memory")
        figures["server_memory_mib"] = gathering.memory_mib()
        figures["memory_ratio"] = gathering.memory_mib() / alone.ask("memory")
        rate = figures["batched_per_second"] / 2
        figures |= _swap_figures(gathering, swapped_path, images, rate)
    return figures


def _publish_first(version_path: Path, base_path: Path, image_path: Path) -> None:
    """Copy a version to a model's folder as version 1, with a warm-up request."""
    shutil.copytree(version_path, base_path / "1")
    warm_up = base_path / "1" / "assets.extra" / "tf_serving_warmup_requests"
    if not warm_up.is_file():
        subprocess.run(
            [sys.executable, "-c", _WRITE_WARM_UP, warm_up, image_path], check=True
        )


def _batching_flags(config: Path) -> tuple[str, ...]:
    config.write_text(BATCHING % (os.cpu_count() or 1), encoding="ascii")
    return ("--enable_batching", f"--batching_parameters_file={config}")


def _swap_figures(
    server: Server, base_path: Path, images: Sequence[bytes], rate: float
) -> dict[str, Any]:
    swaps = [
        asyncio.run(_swap(server, base_path, 2 + number, images, rate))
        for number in range(NUM_SWAPS)
    ]
    figures: dict[str, Any] = {
        "swap_p99_ratios": [each["swap_p99_ratio"] for each in swaps]
    }
    for name in swaps[0]:
        figures[name] = statistics.median(each[name] for each in swaps)
    figures["swap_failed_requests"] = sum(
        each["swap_failed_requests"] for each in swaps
    )
    return figures


def _round(
    alone: BareModel,
    plain: Server,
    single_core: Server,
    gathering: Server,
    images: Sequence[bytes],
) -> dict[str, float]:
    singles: list[float] = []
    by_grpcs: list[float] = []
    by_rests: list[float] = []
    options = wire.channel_options(max_attempts=1)
    connection = http.client.HTTPConnection("localhost", plain.rest_port, timeout=60)
    # A client keeps its connection.
    with (
        grpc.insecure_channel(plain.target, options=options) as channel,
        contextlib.closing(connection),
    ):
        for _ in range(NUM_TURNS):
            singles += alone.ask("single", TURN_CALLS + 1)[1:]
            by_grpcs += _single_grpc(channel, images, TURN_CALLS + 1)[1:]
            by_rests += _single_rest(connection, images, TURN_CALLS + 1)[1:]
    single, by_grpc, by_rest = map(statistics.median, (singles, by_grpcs, by_rests))
    batch, batch_cpu = alone.ask("batch", 3)
    threads, threads_cpu = alone.ask("threads", 3)
    batched, batched_cpu = asyncio.run(_closed_loop(gathering, images, 3))
    unbatched, unbatched_cpu = asyncio.run(_closed_loop(plain, images, 3))
    one_core, one_core_cpu = asyncio.run(_closed_loop(single_core, images, 3))
    return {
        "in_process_p50_ms": single * 1e3,
        "grpc_p50_ms": by_grpc * 1e3,
        "rest_p50_ms": by_rest * 1e3,
        "grpc_above_in_process_ms": (by_grpc - single) * 1e3,
        "rest_above_in_process_ms": (by_rest - single) * 1e3,
        "in_process_batch_32_per_second": batch,
        "batched_per_second": batched,
        "unbatched_per_second": unbatched,
        "unbatched_one_core_per_second": one_core,
        "in_process_32_threads_per_second": threads,
        "in_process_batch_32_cpu_ms_per_image": batch_cpu,
        "in_process_32_threads_cpu_ms_per_image": threads_cpu,
        "batched_cpu_ms_per_image": batched_cpu,
        "unbatched_cpu_ms_per_image": unbatched_cpu,
        "unbatched_one_core_cpu_ms_per_image": one_core_cpu,
        "in_process_batch_32_over_32_threads": batch / threads,
        "batched_over_unbatched": batched / unbatched,
        "batched_over_unbatched_one_core": batched / one_core,
        "batched_over_in_process": batched / batch,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure; write the figures to standard output, and to a file if given."""
    parser = argparse.ArgumentParser(description="Figures of the embedded server.")
    parser.add_argument("version", type=Path, help="Folder with saved_model.pb")
    parser.add_argument("images", nargs="+", help="Images, folders or patterns")
    parser.add_argument("--json", type=Path, help="File to write the figures to")
    options = parser.parse_args(arguments)
    figures = run_benchmark(options.version, find_images(options.images).paths)
    for name, value in figures.items():
        text = value if isinstance(value, list) else f"{value:10.3f}"
        sys.stdout.write(f"{name:40} {text}\n")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
