"""A corpus of image files: formats x modes x features, each with its pixels.

`image_corpus` has one module per format. It writes most files byte by byte, because
Pillow can't write them. Their pixels are known from the input. Only for JPEG, lossy
WebP and animated GIF, Pillow decodes the expected pixels.
"""

from __future__ import annotations

import pytest
from image_corpus import bmp, gif, jpeg, other_formats, png, webp
from image_corpus.case import Case


@pytest.fixture(scope="session")
def corpus() -> list[Case]:
    """Return the cases of all formats."""
    formats = (jpeg, png, gif, bmp, webp, other_formats)
    return [case for each in formats for case in each.cases()]
