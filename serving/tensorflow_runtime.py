"""Import TensorFlow's runtime without TensorFlow's public package.

`import tensorflow` builds the whole public API and imports Keras, which a server that
runs a graph does not need (docs/decisions/0060-measured-choices.md). The sub-packages
that hold the session and the SavedModel loader work by themselves, once a package
called `tensorflow` is registered.
"""

from __future__ import annotations

import importlib.util
import os
import sys
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
