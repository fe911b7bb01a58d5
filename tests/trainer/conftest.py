"""Images made in memory, in the encodings that users send."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

EncodeImage = Callable[..., bytes]


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A picture without symmetry: 120 x 200 pixels of coloured blocks."""
    blocks = np.random.default_rng(7).integers(0, 255, (3, 5, 3))
    return Image.fromarray(np.kron(blocks, np.ones((40, 40, 1))).astype(np.uint8))


@pytest.fixture(scope="session")
def encode() -> EncodeImage:
    """Encode a picture: `encode(image, "PNG", **options)`."""

    def encode_image(image: Image.Image, image_format: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, image_format, **options)
        return buffer.getvalue()

    return encode_image
