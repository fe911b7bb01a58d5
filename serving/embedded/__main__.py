"""`python -m graft.serving.embedded`, with the flags of `tensorflow_model_server`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Serve until SIGTERM."""
    # TensorFlow's warnings quote what clients sent, byte by byte.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Imports create many objects and no garbage. `server` exempts these objects.
    gc.disable()
    from graft.serving import tensorflow_runtime
    from graft.serving.embedded import allocation

    allocation.keep_small_blocks()
    tensorflow_runtime.load_lean()
    with tensorflow_runtime.native_output_hidden():
        from graft.serving.embedded import server

        gpus = tensorflow_runtime.find_gpus()

    gc.enable()
    status = server.main(gpus=gpus)
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow's threads may outlive the interpreter and crash it on the way out.
    os._exit(status)


if __name__ == "__main__":
    main()
