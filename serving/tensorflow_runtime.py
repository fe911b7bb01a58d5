"""Import TensorFlow's runtime without its public package, and without its lines.

`import tensorflow` builds the whole public API and imports Keras, which a server that
runs a graph does not need (docs/decisions/0060-measured-choices.md). The sub-packages
that hold the session and the SavedModel loader work by themselves, once a package
called `tensorflow` is registered.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType


def load_lean() -> None:
    """Let `tensorflow.python...` be imported without running `tensorflow/__init__.py`.

    Only for a process that serves: `import tensorflow as tf` then gives a module
    without the public API. If TensorFlow is imported already, this does nothing.

    Raises:
        ImportError: If TensorFlow isn't installed.
    """
    if "tensorflow" in sys.modules:
        return
    # Hide INFO logs of C++: lines on CPU features at each start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("TensorFlow isn't installed: `make setup` installs graft's")
    package = ModuleType("tensorflow")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["tensorflow"] = package


@contextlib.contextmanager
def native_output_hidden() -> Iterator[None]:
    """Hide what TensorFlow's C++ code writes while it is loaded.

    It writes before it reads its log level, so no setting silences it. Exceptions are
    not hidden.
    """
    sys.stderr.flush()
    standard_error = os.dup(2)
    null_device = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(null_device)
        os.close(standard_error)


def find_gpus() -> list[str]:
    """Return the names of the GPUs, such as `GPU:0`; TensorFlow uses no memory of them.

    Without a GPU, CUDA's library writes an error when TensorFlow first looks for one.
    """
    from tensorflow.python.eager import context

    devices = context.context().list_physical_devices("GPU")
    return [device.name.removeprefix("/physical_device:") for device in devices]
