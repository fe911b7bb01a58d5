"""`graft predict`: classify images, by a server or by the model in this process."""

from __future__ import annotations

import contextlib
import csv
import enum
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from graft.contract.counts import counted
from graft.contract.errors import UserError
from graft.contract.printable import escaped
from graft.pipeline.commands.options import (
    choose_model_folder,
    model_of_server,
    renamed,
)
from graft.pipeline.commands.waiting import shown_while_waiting
from graft.serving.image_files import find_images, read_image
from graft.serving.model_store import (
    DEFAULT_FOLDER,
    newest_version,
)
from graft_client import Prediction
from graft_client.errors import PredictionError, ServingError

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With their full-width forms, which some spreadsheets take for the same."""

Outcome = Prediction | PredictionError
Predict = Callable[[Iterable[bytes]], Iterator[Outcome]]


class Output(enum.StrEnum):
    """Output format of predictions."""

    JSON = "json"
    CSV = "csv"
    TABLE = "table"


def predict(
    images: Annotated[
        list[str], typer.Argument(help="Images, folders of images, or patterns.")
    ],
    *,
    server: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a server's gRPC; none is used by default."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    model_dir: Annotated[
        Path, typer.Option(help="Folder of pushed models, if no server is used.")
    ] = DEFAULT_FOLDER,
    top: Annotated[int, typer.Option(min=1, help="Classes to show per image.")] = 1,
    output_format: Annotated[
        Output, typer.Option("--format", help="Format of the output.")
    ] = Output.TABLE,
    former_format: Annotated[
        str | None,
        typer.Option("--output", hidden=True, callback=renamed("--output", "--format")),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Most images in a request.")
    ] = 32,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Most requests in flight.")
    ] = 4,
    deadline: Annotated[
        float, typer.Option(min=0.001, help="Seconds that one request may take.")
    ] = 30.0,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Write names unchanged in a table or CSV. Otherwise control "
            "characters are escaped, and a CSV cell that a spreadsheet would take for "
            "a formula begins with an apostrophe.",
        ),
    ] = False,
) -> None:
    """Classify images.

    Of a folder, each file is classified or refused, whatever its name. Files that
    `graft run` leaves aside, such as .txt, are counted. A file given by its name is
    always classified or refused.

    The exit status is 1 if a file could not be classified; the others still are.
    """
    try:
        found = find_images(images)
        sys.stderr.write(found.describe_left_aside())
        if server is not None:
            settings = {
                "name": model or model_of_server(model_dir),
                "batch_size": batch_size,
                "concurrency": concurrency,
                "deadline_seconds": deadline,
            }
            opened = _open_client(server, **settings)
        else:
            opened = _open_local_model(model_dir, model)
        with opened as predict_each:
            started = time.perf_counter()
            answers = _Answers(found.paths, predict_each)
            _write(output_format, iter(answers), top, raw=raw)
            seconds = time.perf_counter() - started
    except FileNotFoundError as error:
        raise UserError(str(error)) from error
    except ServingError as error:
        where = f"{server}: " if server else ""
        is_gone = server and getattr(error, "code", "") == "UNAVAILABLE"
        hint = ". Does a server run there (`graft serve`)?" if is_gone else ""
        raise UserError(f"{where}{error}{hint}") from error
    num_files = len(found.paths)
    sys.stderr.write(
        f"{counted(num_files - answers.num_failed, 'image')} in {seconds:.1f} s "
        f"({num_files / seconds:.1f}/s), {answers.num_failed} failed\n"
    )
    if answers.num_failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def _open_client(server: str, **settings: Any) -> Iterator[Predict]:
    """Connect to a server.

    Args:
        server: HOST:PORT of its gRPC.
        **settings: Settings of a `PredictionClient`.
    """
    from graft_client import PredictionClient

    with PredictionClient(server, **settings) as client:
        yield client.predict_each


@contextlib.contextmanager
def _open_local_model(model_dir: Path, model: str | None) -> Iterator[Predict]:
    """Load the newest version of a pushed model into this process."""
    version, path = newest_version(choose_model_folder(model_dir, model))
    with shown_while_waiting("Loading the model"):
        from graft.pipeline.local.run_log import only_python_writes_errors
        from graft.serving.local_model import LocalModel
        from graft.serving.tensorflow_runtime import native_output_hidden

        with native_output_hidden():
            local = LocalModel(version, path)
    with contextlib.closing(local), only_python_writes_errors():
        yield local.predict_each


class _Answers:
    """Predictions for files; files without one are named on standard error."""

    def __init__(self, paths: list[Path], predict_each: Predict) -> None:
        self.num_failed = 0
        self._paths = paths
        self._predict_each = predict_each
        self._read_errors: dict[int, OSError] = {}

    def _read(self) -> Iterator[bytes]:
        for index, path in enumerate(self._paths):
            try:
                yield read_image(path)
            except OSError as error:
                self._read_errors[index] = error
                yield b""  # Keeps the position; the model refuses it.

    def __iter__(self) -> Iterator[tuple[Path, Prediction]]:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        num_files = len(self._paths)
        with Progress(console=console, transient=True, disable=num_files < 64) as bar:
            task = bar.add_task("Predicting", total=num_files)
            outcomes = self._predict_each(self._read())
            for index, (path, outcome) in enumerate(
                zip(self._paths, outcomes, strict=True)
            ):
                bar.advance(task)
                if isinstance(outcome, Prediction) and index not in self._read_errors:
                    yield path, outcome
                    continue
                self.num_failed += 1
                sys.stderr.write(
                    f"{escaped(str(path))}: {escaped(self._reason(index, outcome))}\n"
                )

    def _reason(self, index: int, outcome: Outcome) -> str:
        if index in self._read_errors:
            return f"can't be read: {self._read_errors[index].strerror}"
        message = outcome.message if isinstance(outcome, PredictionError) else ""
        return message.partition("\n")[0]


def _record(path: Path, prediction: Prediction, top: int) -> dict[str, Any]:
    return {
        "image": str(path),
        "class_name": prediction.class_name,
        "score": round(prediction.score, 6),
        "model_version": prediction.model_version,
        "top": [
            {"class_name": name, "score": round(score, 6)}
            for name, score in prediction.top(top)
        ],
    }


Predictions = Iterator[tuple[Path, Prediction]]


def _write(output: Output, predictions: Predictions, top: int, *, raw: bool) -> None:
    if raw and isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be valid in any encoding.
        sys.stdout.reconfigure(errors="surrogateescape")
    if output is Output.JSON:
        _write_json(predictions, top)
    elif output is Output.CSV:
        _write_csv(predictions, top, raw=raw)
    else:
        _write_table(predictions, top, str if raw else escaped)


def _write_json(predictions: Predictions, top: int) -> None:
    for path, prediction in predictions:
        sys.stdout.write(json.dumps(_record(path, prediction, top)) + "\n")


def _write_csv(predictions: Predictions, top: int, *, raw: bool) -> None:
    cell_of = str if raw else _csv_cell
    # By default, `csv` does not quote a carriage return.
    writer = csv.writer(
        sys.stdout,
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if raw else csv.QUOTE_MINIMAL,
    )
    writer.writerow(["image", "rank", "class_name", "score", "model_version", "answer"])
    for path, prediction in predictions:
        for rank, (name, score) in enumerate(prediction.top(top), 1):
            writer.writerow(
                [
                    cell_of(str(path)),
                    rank,
                    cell_of(name),
                    f"{score:.6f}",
                    prediction.model_version,
                    cell_of(prediction.class_name),
                ]
            )


def _csv_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    OWASP, CSV Injection. Control characters are escaped, so none begins a cell.
    """
    cell = escaped(text)
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA_STARTS) else cell


def _write_table(
    predictions: Predictions, top: int, shown: Callable[[str], str]
) -> None:
    for path, prediction in predictions:
        answers = ", ".join(f"{shown(name)} {s:.3f}" for name, s in prediction.top(top))
        if prediction.is_unknown:
            answers = f"{shown(prediction.class_name)} ({answers})"
        sys.stdout.write(f"{shown(str(path))}  {answers}\n")
