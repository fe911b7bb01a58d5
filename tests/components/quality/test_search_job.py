"""A cluster finds the near-copies that one process finds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.beam_jobs import job
from graft.components.progress import Progress
from graft.components.quality import near_copies
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.near_copies import CopyGroups, find_copies
from graft.components.quality.partners import Partners, find_partners
from graft.components.quality.search_job import (
    ROW,
    FindNearCopies,
    Search,
    by_values,
    image_number,
)
from graft.components.quality.search_results import NearCopies, found_on_workers
from graft.components.quality.signature import SIGNATURE, Signatures

CONFIG = DataQualityConfig()


def signatures_of(
    rng: np.random.Generator, num_pictures: int, num_alike: int, noise: float
) -> Signatures:
    """Return pictures, changed and equal copies, blank images, and many alike."""
    rows = np.zeros(num_pictures, SIGNATURE)
    across = np.hypot(*np.meshgrid(np.arange(12), np.arange(12)))
    waves = rng.normal(size=(num_pictures, 12, 12)) * 800 / np.maximum(across, 1) ** 1.5
    waves[:, 0, 0] = rng.uniform(60, 190, num_pictures) * 32
    rows["waves"] = waves
    rows["colours"] = rng.integers(-20, 20, (num_pictures, 2, 4, 4))
    rows["edge"] = 32
    changed = rng.choice(rows, num_pictures // 2)
    changed["waves"] += rng.normal(size=changed["waves"].shape) * rng.choice([4, 12])
    blank = rows[: num_pictures // 8].copy()
    blank["waves"].reshape(-1, 144)[:, 1:] = 0
    blank["waves"][:, 0, 0] = rng.integers(0, 3, len(blank)) * 32
    blank["colours"] = rng.integers(0, 2, len(blank))[:, None, None, None] * 30
    alike = np.repeat(rows[:1], num_alike)
    alike["waves"] += rng.normal(size=alike["waves"].shape) * noise
    several = [rows, changed, rng.choice(rows, num_pictures // 4), blank, alike]
    return Signatures(
        rng.permutation(np.concatenate(several)),
        CONFIG.max_distance,
        CONFIG.min_contrast,
    )


def shards_of(rng: np.random.Generator, num_images: int) -> np.ndarray:
    """Return where each of four shards begins, and the number of all images."""
    cuts = np.sort(rng.integers(0, num_images + 1, 3))
    return np.array([0, *cuts, num_images])


def elements(
    signatures: Signatures, first_of_shard: np.ndarray, search: Search
) -> Iterator[tuple[int, bytes]]:
    """Yield what workers read of the shards, the last image first."""
    for shard in reversed(range(len(first_of_shard) - 1)):
        rows = np.empty(first_of_shard[shard + 1] - first_of_shard[shard], ROW)
        rows["image"] = image_number(shard, np.arange(len(rows)))
        rows["signature"] = signatures.rows[first_of_shard[shard] :][: len(rows)]
        yield from by_values(rows[::-1], search)


def run(
    signatures: Signatures, first_of_shard: np.ndarray, folder: Path, most: int
) -> None:
    """Search as on a cluster, with ranges of `most` images."""
    search = Search(
        signatures.max_distance, signatures.min_contrast, str(folder), 3, most
    )
    folder.mkdir()
    progress = Progress()
    with job(beam.Pipeline(), progress, str(folder) + ".progress") as running:
        rows = running.pipeline | beam.Create(
            list(elements(signatures, first_of_shard, search))
        )
        _ = rows | FindNearCopies(search, progress)


def as_sets(images: np.ndarray, groups: CopyGroups) -> list[list[int]]:
    return sorted(sorted(images[each].tolist()) for each in groups.members())


def as_rows(images: np.ndarray, partners: Partners) -> list[tuple[int, int, float]]:
    return list(
        zip(
            images[partners.images].tolist(),
            images[partners.others].tolist(),
            partners.distances.round(5).tolist(),
            strict=True,
        )
    )


def require_same(
    signatures: Signatures, here: CopyGroups, there: NearCopies, num_kinds: int
) -> None:
    everything = np.arange(len(signatures))
    assert as_sets(there.images, there.groups) == as_sets(everything, here)
    assert there.groups.num_not_compared == here.num_not_compared
    for kinds in (everything % num_kinds, everything * num_kinds // len(everything)):
        one = find_partners(signatures, here, kinds)
        two = find_partners(there.signatures, there.groups, kinds[there.images])
        assert as_rows(everything, one) == as_rows(there.images, two)
        assert one.num_unsure == two.num_unsure


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_pictures=st.integers(1, 400),
    num_alike=st.integers(0, 300),
    noise=st.sampled_from([0, 0.5, 2, 8, 20]),
    most=st.sampled_from([1, 40, 300, 10_000]),
    num_kinds=st.integers(1, 4),
    is_limited=st.booleans(),
)
def test_a_cluster_finds_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    num_pictures: int,
    num_alike: int,
    noise: float,
    most: int,
    num_kinds: int,
    *,
    is_limited: bool,
) -> None:
    rng = np.random.default_rng(seed)
    signatures = signatures_of(rng, num_pictures, num_alike, noise)
    first_of_shard = shards_of(rng, len(signatures))
    folder = tmp_path_factory.mktemp("search") / "found"
    with pytest.MonkeyPatch.context() as patch:
        if is_limited:
            patch.setattr(near_copies, "MOST_ALIKE", 20)
            patch.setattr(near_copies, "_NUM_LEADERS", 2)
            patch.setattr(near_copies, "_MOST_DOUBTFUL_PAIRS", 0)
        here = find_copies(signatures)
        run(signatures, first_of_shard, folder, most)
    with found_on_workers(str(folder), first_of_shard, CONFIG) as there:
        require_same(signatures, here, there, num_kinds)


def test_a_lost_part_is_an_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    signatures = signatures_of(rng, 60, 0, 0)
    first_of_shard = shards_of(rng, len(signatures))
    folder = tmp_path / "found"
    run(signatures, first_of_shard, folder, 20)
    paths = sorted(folder.iterdir())
    assert len(paths) > 3
    for path in paths:
        content = path.read_bytes()
        path.unlink()
        with (
            pytest.raises(RuntimeError, match=f"of {len(signatures)} images"),
            found_on_workers(str(folder), first_of_shard, CONFIG),
        ):
            pass
        path.write_bytes(content)


def test_no_image_is_searched_without_images(tmp_path: Path) -> None:
    none = Signatures(np.empty(0, SIGNATURE), 0.15, 2)
    run(none, np.array([0, 0]), tmp_path / "found", 10)
    with found_on_workers(str(tmp_path / "found"), np.array([0, 0]), CONFIG) as found:
        assert not len(found.images)


def test_equal_images_are_no_quadratic_number_of_pairs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    signatures = signatures_of(rng, 1, 2000, 0)
    first_of_shard = shards_of(rng, len(signatures))
    run(signatures, first_of_shard, tmp_path / "found", 100)
    found = 0
    for path in (tmp_path / "found").iterdir():
        found += len(np.load(io.BytesIO(path.read_bytes()))["first"])
    assert found == len(signatures) - 1
