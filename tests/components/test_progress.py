"""Counters of a node reach its observer from every thread."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import weakref

from graft.components.progress import Count, Progress, current, watched


def test_a_copy_in_this_process_counts_for_the_original() -> None:
    progress, other = Progress(), Progress()
    copy = pickle.loads(pickle.dumps(progress))
    other.expect("images", 1)
    progress.expect("images", 10)
    copy.advance("images", 3)
    copy.advance("files")
    assert progress.snapshot() == {"images": Count(3, 10), "files": Count(1, None)}
    assert other.snapshot() == {"images": Count(0, 1)}


def test_a_copy_in_another_process_has_counters_of_its_own() -> None:
    progress = Progress()
    code = (
        "import pickle, sys; copy = pickle.load(sys.stdin.buffer); "
        "copy.advance('images'); print(copy.snapshot()['images'].done)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(progress),
        capture_output=True,
        check=True,
    )
    assert done.stdout.split() == [b"1"]
    assert progress.snapshot() == {}


def test_nodes_at_the_same_time_have_counters_of_their_own() -> None:
    found: dict[str, dict[str, Count]] = {}
    both = threading.Barrier(2)

    def run(node: str) -> None:
        with watched() as progress:
            both.wait()
            current().advance(node)
            both.wait()
            found[node] = progress.snapshot()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"a": {"a": Count(1, None)}, "b": {"b": Count(1, None)}}


def test_after_its_node_nobody_keeps_the_counters() -> None:
    with watched() as progress:
        counters = weakref.ref(progress._counters)
        assert current() is progress
    del progress
    with watched():
        pass
    assert counters() is None


def test_the_display_is_there_before_beam_is() -> None:
    """Beam takes a second to import, in which a user would see nothing."""
    program = (
        "import sys, graft.pipeline.local.progress_display\n"
        "assert 'apache_beam' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
