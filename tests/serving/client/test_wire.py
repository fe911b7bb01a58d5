"""Requests and replies without any network."""

from __future__ import annotations

from graft_client import wire


def test_chunks_keep_to_images_and_bytes():
    images = [b"x" * 100] * 7 + [b"y" * 5000, b"z"]
    chunks = list(wire.cut_chunks(images, 4, 600))

    assert [len(chunk.images) for chunk in chunks] == [4, 3, 1, 1]
    assert [chunk.start for chunk in chunks] == [0, 4, 7, 8]
    assert [image for chunk in chunks for image in chunk.images] == images
