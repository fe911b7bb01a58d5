"""A process that extracts one shard: `python run_extraction.py ARGUMENTS.json`.

The tests kill it, or run two at once. `files` limits the number of files that it may
add to the store. The next file is written, but not renamed: the process prints a line
and waits.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(arguments: dict) -> None:
    """Extract the shard that the arguments name."""
    from graft.components.features import extraction as extraction_module
    from graft.components.features.extraction import Extraction, ExtractShard, Shard

    # A file per batch, so that small data make several files.
    extraction_module.FILE_BYTES = 1
    if arguments["files"] is not None:
        _stop_in_the_middle(arguments["files"])
    fields = {**arguments["extraction"]}
    fields["class_names"] = tuple(fields["class_names"])
    do_fn = ExtractShard(Extraction(**fields))
    do_fn.setup()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    list(do_fn.process(Shard(*arguments["shard"])))


def _stop_in_the_middle(num_files: int) -> None:
    replace, finished = os.replace, 0

    def counted(source: str, target: str) -> None:
        nonlocal finished
        if target.endswith(".arrow"):
            if finished == num_files:
                sys.stdout.write("in the middle\n")
                sys.stdout.flush()
                time.sleep(3600)
            finished += 1
        replace(source, target)

    os.replace = counted


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
