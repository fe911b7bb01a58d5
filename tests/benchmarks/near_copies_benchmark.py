"""Recall, precision, time and memory of the search for near-copies, on photographs.

    python tests/benchmarks/near_copies_benchmark.py 5000 50000 200000 --sheet pairs.png

GRAFT_TEST_DATA names the folder of `cifar10_train.tar.xz`. Images of CIFAR-10 come
first, then the same mirrored, shifted, and both. Up to 1,000 copies of each kind are
planted. The sheet shows 100 of the other pairs that were reported, to be looked at:
near-copies that CIFAR-10 itself holds, or mistakes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from graft.components.quality.image_statistics import measure_image
from graft.components.quality.near_copies import find_copies
from graft.components.quality.partners import find_partners
from graft.components.quality.signature import SIGNATURE, Signatures

NUM_PLANTED = 1000
SHIFT = 4
SHOWN_PIXELS = 64


def encode(image: Image.Image, **options: object) -> bytes:
    """Encode an image, as PNG unless told otherwise."""
    buffer = io.BytesIO()
    image.save(buffer, **{"format": "PNG", "compress_level": 1, **options})
    return buffer.getvalue()


def shifted(image: Image.Image) -> Image.Image:
    """Return an image moved by an eighth; what leaves it comes in on the other side."""
    return Image.fromarray(np.roll(np.asarray(image), (SHIFT, -SHIFT), (0, 1)))


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return an image without 2 % of its width and height, at least a pixel."""
    across, down = (max(1, round(each * 0.02)) for each in image.size)
    left, top = rng.integers(0, across + 1), rng.integers(0, down + 1)
    right, bottom = image.width - across + left, image.height - down + top
    return image.crop((left, top, right, bottom))


def halved(image: Image.Image) -> Image.Image:
    """Return an image of half the size."""
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


KINDS: dict[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "same pixels": lambda image, _: encode(image, format="BMP"),
    "JPEG of quality 60": lambda image, _: encode(image, format="JPEG", quality=60),
    "half the size": lambda image, _: encode(halved(image)),
    "2 % cropped": lambda image, rng: encode(cropped(image, rng)),
    "5 % brighter": lambda image, _: encode(
        ImageEnhance.Brightness(image).enhance(1.05)
    ),
    "5 % darker": lambda image, _: encode(ImageEnhance.Brightness(image).enhance(0.95)),
}


def originals() -> list[bytes]:
    """Return the images of CIFAR-10, in random order."""
    path = Path(os.environ["GRAFT_TEST_DATA"]) / "cifar10_train.tar.xz"
    with tarfile.open(path) as archive:
        found = [archive.extractfile(each).read() for each in archive if each.isfile()]
    np.random.default_rng(0).shuffle(found)
    return found


def images(found: list[bytes], count: int) -> Iterator[bytes]:
    """Yield `count` images: the originals, then the same, changed."""
    for number in range(count):
        turn, place = divmod(number, len(found))
        if not turn:
            yield found[place]
            continue
        image = Image.open(io.BytesIO(found[place])).convert("RGB")
        if turn % 2:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield encode(shifted(image) if turn >= 2 else image)


def sheet(pairs: list[tuple[bytes, bytes]], path: str) -> None:
    """Write a picture with the pairs side by side."""
    across = 10
    size = (across * (2 * SHOWN_PIXELS + 8), -(-len(pairs) // across) * SHOWN_PIXELS)
    page = Image.new("RGB", size, "white")
    for number, pair in enumerate(pairs):
        row, column = divmod(number, across)
        for side, encoded in enumerate(pair):
            picture = Image.open(io.BytesIO(encoded)).convert("RGB")
            page.paste(
                picture.resize((SHOWN_PIXELS, SHOWN_PIXELS)),
                (
                    column * (2 * SHOWN_PIXELS + 8) + side * SHOWN_PIXELS,
                    row * SHOWN_PIXELS,
                ),
            )
    page.save(path)


def measure(
    found: list[bytes], count: int, sheet_path: str | None
) -> dict[str, object]:
    """Return the figures for one number of images."""
    rng = np.random.default_rng(1)
    num_planted = min(NUM_PLANTED, count // 12)
    num = count - num_planted * len(KINDS)
    sources = rng.choice(min(num, len(found)), num_planted, replace=False)
    planted = [
        change(Image.open(io.BytesIO(found[source])).convert("RGB"), rng)
        for change in KINDS.values()
        for source in sources
    ]
    rows = np.empty(count, SIGNATURE)
    start = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = images(found, num)
        for first in range(0, num, 256):
            some = [next(parts) for _ in range(min(256, num - first))]
            for place, each in enumerate(pool.map(measure_image, some)):
                rows[first + place] = each.signature
        for place, each in enumerate(pool.map(measure_image, planted)):
            rows[num + place] = each.signature
    seconds_measured = time.perf_counter() - start
    signatures = Signatures(rows, max_distance=0.15, min_contrast=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    copies = find_copies(signatures)
    seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recall = {
        kind: float(
            np.mean(
                copies.groups[sources]
                == copies.groups[num + number * num_planted :][:num_planted]
            )
        )
        for number, kind in enumerate(KINDS)
    }
    kinds = np.arange(count)
    partners = find_partners(signatures, copies, kinds)
    both = np.stack([partners.images, partners.others], axis=1)
    pairs = both[(both < num).all(axis=1) & (both[:, 0] < both[:, 1])].tolist()
    if sheet_path:
        chosen = [pairs[each] for each in rng.permutation(len(pairs))[:100]]
        wanted = {each for pair in chosen for each in pair}
        shown = {
            place: encoded
            for place, encoded in enumerate(images(found, num))
            if place in wanted
        }
        sheet([(shown[a], shown[b]) for a, b in chosen], sheet_path)
    return {
        "images": count,
        "recall": recall,
        "other_pairs": len(pairs),
        "not_compared": copies.num_not_compared,
        "unsure": partners.num_unsure,
        "seconds_to_measure_images": round(seconds_measured, 1),
        "seconds_to_search": round(seconds[0], 1),
        "cpu_seconds_to_search": round(seconds[1], 1),
        "bytes_an_image_signature": SIGNATURE.itemsize,
        "bytes_an_image_search": round((peak - before) * 1024 / count),
    }


def main() -> None:
    """Print one line of JSON for each number of images."""
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--sheet")
    arguments = parser.parse_args()
    found = originals()
    for count in arguments.counts:
        line = json.dumps(measure(found, count, arguments.sheet))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
