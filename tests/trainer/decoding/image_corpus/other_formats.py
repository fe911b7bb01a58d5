"""Files of formats that are refused, and files that are not images."""

from __future__ import annotations

from collections.abc import Iterator

from image_corpus.case import Case, draw_picture, save
from PIL import Image


def cases() -> Iterator[Case]:
    image = Image.fromarray(draw_picture())
    for name, words in (
        ("TIFF", "TIFF is not supported; save it as JPEG or PNG"),
        ("AVIF", "AVIF is not supported"),
        ("ICO", "ICO is not supported"),
        ("JPEG2000", "JPEG 2000 is not supported"),
        ("PPM", "PNM is not supported"),
        ("PCX", "PCX is not supported"),
        ("PDF", "PDF is not supported"),
        ("EPS", "PostScript is not supported"),
        ("DDS", "DDS is not supported"),
        ("ICNS", "ICNS is not supported"),
    ):
        yield Case(name, save(image, name), refusal=words)
    for name, mode, options in (
        ("TGA", "RGB", {}),
        ("TGA with alpha", "RGBA", {}),
        ("TGA, grey", "L", {}),
        ("TGA with a palette", "P", {}),
        ("TGA, packed", "RGB", {"compression": "tga_rle"}),
        ("TGA, packed grey", "L", {"compression": "tga_rle"}),
        ("TGA, packed palette", "P", {"compression": "tga_rle"}),
    ):
        encoded = save(image.convert(mode), "TGA", **options)
        yield Case(
            name, encoded, refusal="TGA is not supported; save it as JPEG or PNG"
        )
    for name, start, words in (
        ("CUR", b"\0\0\x02\0\x01\0\x20\x20\0\0", "CUR is not supported"),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not supported"),
        ("HEIF", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF is not supported"),
        ("MP4", b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        ("CR3", b"\0\0\0\x18ftypcrx \0\0\0\0", "a camera's raw file"),
        ("CR2", b"II*\0\x10\0\0\0CR\x02\0", "a camera's raw file"),
        ("NEF, as TIFF", b"MM\0*\0\0\0\x08", "TIFF is not supported"),
        ("JPEG XL", b"\xff\x0a\xfa\x1f", "JPEG XL is not supported"),
        ("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL is not supported"),
        ("PSD", b"8BPS\0\x01", "PSD is not supported"),
        ("SVG", b'<svg xmlns="x">', "SVG is not supported"),
        ("SVG", b'<?xml version="1.0"?>\n<svg>\xff', "SVG is not supported"),
        ("SVG", b"\xef\xbb\xbf<!-- a --><svg>", "SVG is not supported"),
        ("HTML", b"<!DOCTYPE html>\n<html>", "a web page"),
        ("LFS", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        ("empty", b"", "empty file"),
        ("words", b"these are words", "not an image (15 bytes)"),
        ("a byte", b"\xff", "not an image (1 bytes)"),
    ):
        yield Case(f"{name} {start[:12]!r}", start, refusal=words)
