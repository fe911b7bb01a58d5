"""The option `--labels` of commands, and what the user is told of label fixes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from graft.components.ingestion.fixes.fix_files import choose_fix_files
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.counts import counted
from graft.pipeline.commands.options import tell
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.last_run import last_run_of
from graft.pipeline.local.run_names import data_key

LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Label fixes to apply, beside those of data.label_fixes; graft report "
        "--labels writes such a file.",
    ),
]


def with_decisions(config: PipelineConfig) -> PipelineConfig:
    """Return the config with the label fixes that decide something, in a fixed order.

    The user is told of the other files.

    Raises:
        DataError: A file can't be read, or a row is not clear.
    """
    chosen = choose_fix_files(config.data.label_fixes)
    for path, num_rows in chosen.undecided.items():
        tell(
            f"{path!r} changes nothing: none of its {counted(num_rows, 'row')} has a "
            "decision."
        )
    return config.with_fix_files(chosen.paths)


def tell_of_lost_fixes(folder: Path, data: DataConfig) -> str:
    """Tell of label fixes that the last run that ended applied, and this one lacks.

    Without them, the labels are the wrong ones again.

    Returns:
        What was told, for the last screen, too; "" for nothing.
    """
    before = last_run_of(folder)
    if before.data != data_key(data.path):
        return ""
    now = {data_key(path) for path in data.label_fixes}
    lost = [path for path in before.label_fixes if data_key(path) not in now]
    if not lost:
        return ""
    options = " ".join(f"--labels {shlex.quote(path)}" for path in lost)
    told = (
        f"The last run applied label fixes that this one leaves out. To keep them: "
        f"{options}"
    )
    tell(told)
    return told
