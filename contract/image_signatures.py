"""How the files of the supported image formats begin."""

from __future__ import annotations

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")


def has_image_signature(encoded: bytes) -> bool:
    """Tell whether a file begins as an image of a supported format does."""
    return encoded.startswith(_SIGNATURES) and (
        encoded[8:12] == b"WEBP" or not encoded.startswith(b"RIFF")
    )
