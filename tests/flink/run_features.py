"""A process that computes features in a Beam job: `run_features.py ARGUMENTS.json`.

The tests start it, and kill workers and TaskManagers meanwhile. Without arguments for
Beam the job runs here. The process prints the final count of images. Each worker writes
a file on each shard that it has done.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from graft.components.beam_jobs import job
from graft.components.features.extraction import Extraction, ExtractShard, Shard
from graft.components.progress import Progress
from graft.pipeline.beam_settings import keep_beam_local
from graft.storage import atomic
from graft.storage.paths import join


class TimedShard(beam.DoFn):
    """`ExtractShard`, and a file on each shard: which worker, when, how much work."""

    def __init__(self, extract: ExtractShard, folder: str) -> None:
        self._extract = extract
        self._folder = folder

    def setup(self) -> None:
        self._extract.setup()

    def teardown(self) -> None:
        self._extract.teardown()

    def process(self, shard: Shard) -> Iterator[int]:
        # Of this machine, so times of several workers compare.
        start, work = time.monotonic(), time.process_time()
        (images,) = self._extract.process(shard)
        row = {
            "worker": os.getpid(),
            "start": start,
            "end": time.monotonic(),
            "work": time.process_time() - work,
            "images": images,
        }
        atomic.write_text(join(self._folder, uuid.uuid4().hex), json.dumps(row))
        yield images


def main(arguments: dict[str, Any]) -> None:
    """Compute the features of the shards that the arguments name."""
    keep_beam_local()
    fields = {**arguments["extraction"]}
    fields["class_names"] = tuple(fields["class_names"])
    shards = [Shard(*each) for each in arguments["shards"]]
    progress = Progress()
    pipeline = beam.Pipeline(options=PipelineOptions(arguments["beam"]))
    with job(pipeline, progress, arguments["reports"]) as running:
        # After `job` has named the folder of the reports.
        extract = ExtractShard(Extraction(**fields), progress)
        _ = (
            running.pipeline
            | beam.Create(shards)
            | "Spread" >> beam.Reshuffle()
            | "Extract" >> beam.ParDo(TimedShard(extract, arguments["times"]))
        )
    done = progress.snapshot()["images"].done
    sys.stdout.write(json.dumps({"images": done}) + "\n")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
