"""Send the logs of a run to a file, and keep the terminal for the display."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from absl import logging as absl_logging

from graft.serving.tensorflow_runtime import native_output_hidden


@contextlib.contextmanager
def logs_to_file(path: Path, *, verbose: bool) -> Iterator[TextIO]:
    """Send the logs of TFX, Beam and TensorFlow to a file.

    TensorFlow's C++ code writes to the file descriptor of standard error, so that is
    redirected, and not only Python's stream.

    Args:
        path: Log file; new lines are appended.
        verbose: Show the logs on the terminal too.

    Yields:
        A stream that still writes to the terminal's standard error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    sys.stdout.flush()
    terminal_descriptor = os.dup(2)
    terminal = os.fdopen(os.dup(terminal_descriptor), "w", encoding="utf-8")
    handler: logging.Handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    previous_handlers, previous_level = root.handlers[:], root.level
    root.handlers = [handler]
    if verbose:
        shown = logging.StreamHandler(terminal)
        shown.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        root.addHandler(shown)
    root.setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    logging.captureWarnings(True)
    previous_stdout = sys.stdout
    file = path.open("a", encoding="utf-8")
    try:
        if not verbose:
            os.dup2(file.fileno(), 2)
        # Keras and TFMA print progress bars and hints to standard output.
        sys.stdout = file
        yield terminal
    finally:
        sys.stdout = previous_stdout
        sys.stderr.flush()
        os.dup2(terminal_descriptor, 2)
        os.close(terminal_descriptor)
        logging.captureWarnings(False)
        root.handlers, root.level = previous_handlers, previous_level
        for stream in (handler, file, terminal):
            # A full disk must not hide how the run ended.
            with contextlib.suppress(OSError):
                stream.close()


@contextlib.contextmanager
def only_python_writes_errors() -> Iterator[None]:
    """Hide what native code writes to standard error, but not what Python writes there.

    TensorFlow and libjpeg write lines about an image that is refused with a reason, and
    no setting silences them.
    """
    sys.stderr.flush()
    try:
        is_standard_error = sys.stderr.fileno() == 2
    except (OSError, ValueError):  # a stream in memory
        is_standard_error = False
    if not is_standard_error:
        with native_output_hidden():
            yield
        return
    terminal = os.fdopen(
        os.dup(2), "w", 1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
    )
    with terminal, native_output_hidden(), contextlib.redirect_stderr(terminal):
        yield
