"""Counts of classes, and the images of rare classes that move."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from graft.components.ingestion.moving import plan_moves
from graft.components.ingestion.sources.config import SplitPercentages
from graft.components.ingestion.sources.splitting import choose_split
from graft.components.ingestion.transforms import ClassRow
from graft.contract.split_names import SPLITS
from graft.storage.hashing import hash_bytes

PERCENTAGES = SplitPercentages()


def _row(name: str, shard: int, hashes: list[str]) -> ClassRow:
    counts = [0, 0, 0]
    for content_hash in hashes:
        counts[SPLITS.index(choose_split(content_hash, SPLITS, PERCENTAGES))] += 1
    return ClassRow(
        name, counts, 10 * len(hashes), [(shard, h, SPLITS) for h in hashes]
    )


@given(
    numbers=st.dictionaries(st.sampled_from("abcd"), st.integers(3, 9), min_size=1),
    shards=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_moves_do_not_depend_on_the_shards(
    numbers: dict[str, int], shards: int, seed: int
):
    hashes = {
        name: [hash_bytes(f"{seed} {name} {i}".encode()) for i in range(number)]
        for name, number in numbers.items()
    }
    whole = [_row(name, 0, found) for name, found in hashes.items()]
    parts = [
        _row(name, shard, found[shard::shards])
        for name, found in hashes.items()
        for shard in range(shards)
        if found[shard::shards]
    ]
    random.Random(seed).shuffle(parts)
    counts, moves = plan_moves(whole, PERCENTAGES)
    counts_of_parts, moves_of_parts = plan_moves(parts, PERCENTAGES)
    assert counts_of_parts == counts
    assert sorted(move[1:] for move in moves_of_parts) == [move[1:] for move in moves]
    for row in counts:
        assert min(row.counts) > 0
        assert sum(row.counts) == numbers[row.class_name]
        assert row.num_bytes == 10 * numbers[row.class_name]
    assert sum(row.num_moved for row in counts) == len(moves)
    for move in moves_of_parts:
        part = hashes[move.class_name][move.shard :: shards]
        assert move.content_hash in part
        assert move.before == choose_split(move.content_hash, SPLITS, PERCENTAGES)
