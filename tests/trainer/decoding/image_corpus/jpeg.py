"""JPEG files: EXIF at every place, kinds of compression, colour spaces, damage."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import product

from image_corpus.case import (
    ORIENTATIONS,
    SRGB,
    Case,
    decode_with_pillow,
    draw_picture,
    insert,
    make_exif,
    save,
    turn,
)
from PIL import Image

# Both use the exact transform of libjpeg.
TOLERANCE = 0


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _split_jpeg(encoded: bytes) -> dict[str, int]:
    """Return where the first segment of each kind begins."""
    found, position = {"start": 2}, 2
    while True:
        marker, length = struct.unpack_from(">xBH", encoded, position)
        found.setdefault(f"{marker:02x}", position)
        if marker == 0xDA:
            return found
        position += 2 + length


def cases() -> Iterator[Case]:
    plain = save(Image.fromarray(draw_picture()), "JPEG", quality=92)
    yield from _with_exif(plain)
    yield from _with_unusual_exif(plain)
    yield from _modes()
    yield from _refused(plain)


def _with_exif(plain: bytes) -> Iterator[Case]:
    expected = decode_with_pillow(plain)
    places = _split_jpeg(plain)
    icc = b"".join(
        _segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 3]) + bytes(20_000))
        for n in (1, 2, 3)
    )
    xmp = _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>" + bytes(900))
    long = _segment(0xFE, b"c" * 60_000) * 2
    many = _segment(0xEB, b"n") * 40
    fronts: dict[str, tuple[int, bytes]] = {
        "first": (places["start"], b""),
        "after JFIF": (places["db"], b""),
        "after ICC": (places["db"], icc),
        "after XMP": (places["start"], xmp),
        "after 120 kB": (places["start"], long),
        "after 40 segments": (places["start"], many),
        "after fill bytes": (places["start"], b"\xff" * 5),
        "after its tables": (places["c0"], b""),
        "after its frame": (places["c4"], b""),
        "last": (places["da"], b""),
    }
    for orientation, order, front in product(ORIENTATIONS, "<>", fronts):
        place, before = fronts[front]
        app1 = _segment(0xE1, b"Exif\0\0" + make_exif(orientation, order))
        yield Case(
            f"JPEG, EXIF {orientation} {order} {front}",
            insert(plain, place, before + app1),
            turn(expected, orientation),
            TOLERANCE,
        )


def _with_unusual_exif(plain: bytes) -> Iterator[Case]:
    expected = decode_with_pillow(plain)
    for name, block, orientation in (
        ("orientation 0", make_exif(0), 1),
        ("orientation 9", make_exif(9), 1),
        ("orientation 300", make_exif(300), 1),
        ("as LONG", make_exif(6, ">", 4), 6),
        ("as LONG beyond 16 bits", make_exif(65536 + 6, "<", 4), 1),
        ("as BYTE", make_exif(6, ">", 1), 6),
        ("of two values", make_exif(6, "<", 3, 2), 1),
        ("as text", make_exif(6, "<", 2), 1),
        ("100 entries", make_exif(8, "<", entries=100), 8),
        ("cut", make_exif(6)[:20], 1),
        ("no TIFF", b"XX" + make_exif(6)[2:], 1),
        ("empty", b"", 1),
        ("directory far away", b"II*\0\xff\xff\xff\x7f", 1),
    ):
        app1 = _segment(0xE1, b"Exif\0\0" + block)
        yield Case(
            f"JPEG, EXIF {name}",
            insert(plain, 2, app1),
            turn(expected, orientation),
            TOLERANCE,
        )


def _modes() -> Iterator[Case]:
    picture = Image.fromarray(draw_picture())
    kinds: dict[str, dict[str, object]] = {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimized": {"optimize": True},
        "restarts": {"restart_marker_blocks": 2},
        "ICC": {"icc_profile": SRGB},
    }
    for mode, kind, sampling in product(("L", "RGB", "CMYK"), kinds, (0, 1, 2)):
        encoded = save(
            picture.convert(mode),
            "JPEG",
            quality=92,
            subsampling=sampling,
            **kinds[kind],
        )
        name = f"JPEG, {mode} {kind} {sampling}"
        yield Case(name, encoded, decode_with_pillow(encoded), TOLERANCE)
        if mode != "CMYK":
            continue
        place = encoded.index(b"Adobe") - 4
        bare = encoded[:place] + encoded[place + 16 :]
        yield Case(f"{name} no marker", bare, decode_with_pillow(bare), TOLERANCE)
        marked = encoded[: place + 15] + b"\x02" + encoded[place + 16 :]
        yield Case(f"{name} YCCK", marked, decode_with_pillow(marked), TOLERANCE)
    kept = save(picture, "JPEG", quality=92, keep_rgb=True)
    yield Case("JPEG, stored as RGB", kept, decode_with_pillow(kept), TOLERANCE)
    mpo = save(picture, "MPO", save_all=True, append_images=[picture.rotate(180)])
    yield Case("MPO", mpo, decode_with_pillow(mpo), TOLERANCE)


def _refused(plain: bytes) -> Iterator[Case]:
    frame = _split_jpeg(plain)["c0"]
    for marker, words in (
        *((each, "a lossless JPEG") for each in (0xC3, 0xCB)),
        *((each, "a hierarchical JPEG") for each in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE)),
        *((each, "arithmetic coding") for each in (0xC9, 0xCA)),
        (0xF7, "a JPEG-LS"),
    ):
        other = plain[: frame + 1] + bytes([marker]) + plain[frame + 2 :]
        yield Case(f"JPEG, frame {marker:02x}", other, refusal=words)
    deep = plain[: frame + 4] + b"\x0c" + plain[frame + 5 :]
    yield Case("JPEG, 12 bits", deep, refusal="more than 8 bits")
    two = plain[: frame + 2] + b"\0\x0e" + plain[frame + 4 : frame + 9] + b"\x02"
    two += plain[frame + 10 : frame + 16] + plain[frame + 19 :]
    yield Case("JPEG, 2 channels", two, refusal="channels")
    yield Case("JPEG, cut", plain[: len(plain) * 2 // 3], refusal="damaged JPEG")
    yield Case("JPEG, head only", plain[:30], refusal="damaged JPEG")
    for size in (2_000, 13_000, 65_500):
        sized = plain[: frame + 5] + 2 * size.to_bytes(2, "big") + plain[frame + 9 :]
        yield Case(f"JPEG, says to be {size} wide", sized, refusal="damaged JPEG")
        with_exif = insert(sized, 2, _segment(0xE1, b"Exif\0\0"))
        name = f"JPEG with EXIF, says to be {size} wide"
        yield Case(name, with_exif, refusal="damaged JPEG")
    crowd = insert(plain, 2, _segment(0xEB, b"") * 20_000)
    yield Case("JPEG, 20,000 segments", crowd, refusal="segments")
