"""Load a SavedModel's `serve` meta graph into a session, and run it as the binary does.

The graph runs in a v1 session, with the tensor names of a signature. The call bypasses
`Session.run`, which would cast data types and check static shapes. TensorFlow Serving
leaves both to the graph.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session as tf_session
from tensorflow.python.client import session
from tensorflow.python.framework import errors, ops
from tensorflow.python.saved_model import loader_impl

from graft.contract.signature_names import REFUSAL_MARK
from graft.serving.embedded.contract.status import (
    StatusError,
    from_number,
    internal,
    invalid,
    not_found,
)
from graft.serving.embedded.contract.tensors import Array
from graft.serving.graph_rewriting import rewrite_functions_once
from graft.storage import files, hashing

MANIFEST = "graft_manifest.json"
"""File beside `saved_model.pb` that names every file's SHA-256: `{"files": {...}}`."""


class SavedModel:
    """A loaded SavedModel.

    Args:
        path: Folder that holds `saved_model.pb`.
        tags: Tags of the meta graph.
        config: A ConfigProto of the session, as from `session_config`.

    Raises:
        StatusError: If the folder is incomplete, damaged, or no SavedModel.
    """

    def __init__(
        self, path: Path, tags: Sequence[str] = ("serve",), config: Any = None
    ) -> None:
        if not (path / "saved_model.pb").is_file():
            raise not_found(
                "Could not find SavedModel .pb or .pbtxt at supplied export directory "
                f"path: {path}. Check that the directory exists and that you have the "
                "right permissions for accessing it."
            )
        verify_manifest(path)
        graph = ops.Graph()
        self._graph = graph
        self._handles: dict[str, Any] = {}
        self._session = session.Session(graph=graph, config=config or session_config())
        try:
            with graph.as_default():
                loader = loader_impl.SavedModelLoader(str(path))
                found = loader.get_meta_graph_def_from_tags(list(tags))
                _refuse_missing_variables(path, found)
                rewrite_functions_once(found.graph_def)
                meta_graph = loader.load(self._session, list(tags))
            # `run` needs this, and does not do it itself. The graph is final now.
            self._session._extend_graph()
        except errors.OpError as error:
            self._session.close()
            raise from_number(error.error_code, error.message) from error
        except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            self._session.close()
            raise internal(
                f"{path} can't be loaded as a SavedModel: {error}"
            ) from error
        except StatusError:
            self._session.close()
            raise
        self.signatures: dict[str, Any] = dict(meta_graph.signature_def)

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        timeout_seconds: float | None = None,
        *,
        on_this_thread: bool = False,
    ) -> list[Array]:
        """Run the graph once.

        Args:
            feeds: Array by tensor name, as `serving_default_images:0`.
            fetches: Names of the tensors to return.
            timeout_seconds: Time after which the run is cancelled.
            on_this_thread: Prepare the graph and run its ops on the calling thread,
                at its priority, not on the threads that all models share. An op that
                splits its work still uses several threads.

        Raises:
            StatusError: With the code and text of the op that failed.
        """
        options = None
        try:
            run_options = config_pb2.RunOptions()
            if timeout_seconds is not None:
                run_options.timeout_in_ms = max(1, int(timeout_seconds * 1000))
            if on_this_thread:
                run_options.inter_op_thread_pool = -1
            if timeout_seconds is not None or on_this_thread:
                options = tf_session.TF_NewBufferFromString(
                    run_options.SerializeToString()
                )
            outputs: list[Array] = tf_session.TF_SessionRun_wrapper(
                self._session._session,
                options,
                {self._handle(name): array for name, array in feeds.items()},
                [self._handle(name) for name in fetches],
                [],
                None,
            )
            return outputs
        except errors.OpError as error:
            text = _text_for_client(error.message)
            raise from_number(error.error_code, text) from error
        except UnicodeDecodeError as error:
            # The op's message quotes the request's bytes. Its code is lost.
            text = _text_for_client(error.object.decode("utf-8", "replace"))
            raise invalid(text) from error
        finally:
            if options is not None:
                tf_session.TF_DeleteBuffer(options)

    def _handle(self, name: str) -> Any:
        handle = self._handles.get(name)
        if handle is None:
            try:
                handle = self._graph.get_tensor_by_name(name)._as_tf_output()
            except (KeyError, ValueError) as error:
                # Such as the operation that initializes a model, which TensorFlow
                # lists among the signatures.
                raise invalid(f"The graph has no tensor {name!r}") from error
            self._handles[name] = handle
        return handle

    def close(self) -> None:
        """Free the session, its variables and the graph."""
        self._session.close()
        self._session = self._graph = None
        self._handles.clear()


def _text_for_client(message: str) -> str:
    """Return the reason that a graft model gives for an image; else the whole text.

    TensorFlow puts the names of functions and the failed operation around it.
    """
    _, _, reason = message.partition(REFUSAL_MARK)
    return reason.splitlines()[0] if reason else message


def session_config(
    intra_op_threads: int = 0, inter_op_threads: int = 0, base: Any = None
) -> Any:
    """Return the ConfigProto of a session; 0 threads are as many as cores.

    Args:
        intra_op_threads: Threads of one op.
        inter_op_threads: Ops at the same time.
        base: A ConfigProto whose settings hold, apart from the threads.

    Without Grappler's rewriting, which delays the first answer and saves nothing after
    it (docs/decisions/0060-measured-choices.md). The weights are variables, which
    Grappler can't fold.
    """
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    if base is not None:
        config.MergeFrom(base)
    config.intra_op_parallelism_threads = intra_op_threads
    config.inter_op_parallelism_threads = inter_op_threads
    return config


def _refuse_missing_variables(path: Path, meta_graph: Any) -> None:
    # Somebody may still copy the folder. TensorFlow Serving would load it as a model
    # without variables, and then fail each request.
    if (path / "variables" / "variables.index").is_file():
        return
    nodes = meta_graph.graph_def.node
    if any(node.op in ("VarHandleOp", "VariableV2") for node in nodes):
        raise not_found(f"{path} lacks variables/variables.index: is it complete?")


def verify_manifest(path: Path) -> None:
    """Compare a version's files with its manifest, if it has one.

    Raises:
        StatusError: DATA_LOSS, naming the first file that is missing or differs.
    """
    manifest = path / MANIFEST
    if not os.path.lexists(manifest):
        return

    def damaged(what: str) -> StatusError:
        return StatusError(grpc.StatusCode.DATA_LOSS, f"{manifest}: {what}")

    try:
        promised = json.loads(files.read_small_text(str(manifest)))["files"]
        expected = {str(name): str(digest) for name, digest in promised.items()}
    except OSError as error:
        raise damaged("can't be read") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged("isn't a manifest") from error
    for name, digest in sorted(expected.items()):
        file = path / name
        if not file.resolve().is_relative_to(path.resolve()):
            raise damaged(f"{name!r} lies outside the version's folder")
        try:
            found = hashing.hash_file(str(file))
        except OSError as error:
            raise damaged(f"{name!r} can't be read") from error
        if found != digest.lower():
            raise damaged(f"{name!r} has SHA-256 {found}, should have {digest}")
