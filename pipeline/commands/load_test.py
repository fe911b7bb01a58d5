"""`graft load-test`: measure a server under a given load."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands.options import model_of_server
from graft.pipeline.commands.waiting import shown_while_waiting
from graft.serving.image_files import find_images, read_image
from graft.serving.model_store import DEFAULT_FOLDER


def load_test(
    images: Annotated[
        list[str], typer.Argument(help="Images, folders or patterns, sent in rotation.")
    ],
    *,
    server: Annotated[str, typer.Option(help="HOST:PORT of gRPC.")] = "localhost:8500",
    model: Annotated[
        str | None,
        typer.Option(help="The model's name; that of the last run here if absent."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = 20.0,
    duration: Annotated[float, typer.Option(help="Seconds.")] = 10.0,
    concurrency: Annotated[int, typer.Option(help="Most requests in flight.")] = 32,
    images_per_request: Annotated[int, typer.Option(help="Images in each.")] = 1,
    even: Annotated[
        bool, typer.Option("--even", help="Evenly spaced arrivals, not random ones.")
    ] = False,
    max_images: Annotated[int, typer.Option(help="Images to read at most.")] = 256,
    plot: Annotated[
        Path | None, typer.Option(help="Write a plot to this .png or .svg file.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
) -> None:
    """Send images at a fixed rate and report percentiles of the latency.

    Latency counts from the planned time of a request, so it includes the wait for a
    busy server (no coordinated omission). The exit status is 1 if a request failed.
    """
    import asyncio

    import grpc

    from graft.serving.load import LoadPlan, measure

    try:
        plan = LoadPlan(
            rate_per_second=rate,
            duration_seconds=duration,
            concurrency=concurrency,
            images_per_request=images_per_request,
            is_random=not even,
        )
        found = find_images(images)
        sys.stderr.write(found.describe_left_aside())
        encoded = [read_image(path) for path in found.paths[:max_images]]
        name = model or model_of_server(DEFAULT_FOLDER)
        with shown_while_waiting(f"Sending images to {server}"):
            result = asyncio.run(measure(server, name, encoded, plan))
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
    except grpc.RpcError as error:
        details = f"{error.code().name}: {error.details()}"
        first = ", ".join(map(repr, map(str, found.paths[:images_per_request])))
        raise UserError(
            f"The first request to {server} failed, with {first}: {details}"
        ) from error
    sys.stdout.write(result.text() + "\n")
    if json_file is not None:
        json_file.write_text(result.to_json() + "\n", encoding="utf-8")
    if plot is not None and result.latencies:
        result.plot(plot)
    if result.errors:
        raise typer.Exit(1)
