"""A corpus of image files: formats x modes x features, with what each one shows.

Files that Pillow can't write are written here byte by byte. What they show is known
from the pixels that went in; Pillow tells it of JPEG and lossy WebP files alone.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

HEIGHT, WIDTH = 24, 40
# libjpeg-turbo in TensorFlow and in Pillow differ by a few steps of 8-bit rounding.
JPEG_TOLERANCE = 6
# The same, of colours that are multiplied with one another.
YCCK_TOLERANCE = 10
WEBP_TOLERANCE = 3
ORIENTATIONS = range(1, 9)


@dataclass(frozen=True)
class Case:
    """A file, and what it shows or why it is refused.

    Attributes:
        name: What it is.
        encoded: Its bytes.
        expected: uint8 (H, W, 3), upright RGB on white; None if it is refused.
        tolerance: Largest difference of a channel.
        refusal: Words of the reason.
    """

    name: str
    encoded: bytes
    expected: np.ndarray | None = None
    tolerance: int = 1
    refusal: str = ""


def _picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return RGB that looks like no other when it is turned, uint8 (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 255 * y / height
    blue = 128 + 100 * np.sin(x / 7 + y / 5)
    pixels = np.stack([red, green, blue], -1).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (250, 20, 30)
    return pixels


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return how pixels stored with an EXIF orientation are to be shown."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90,
    }[orientation](pixels)


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., np.newaxis] / 255
    return np.round(pixels * share + 255 * (1 - share)).astype(np.uint8)


def _saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _pillow(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _exif(
    value: int, order: str = "<", kind: int = 3, count: int = 1, entries: int = 3
) -> bytes:
    """Return EXIF data with an orientation among other entries."""
    data = {1: struct.pack("Bxxx", value & 255), 4: struct.pack(order + "I", value)}
    value_bytes = data.get(kind, struct.pack(order + "Hxx", value & 65535))
    others = [
        struct.pack(order + "HHI4s", 0x0100 + i, 3, 1, bytes(4)) for i in range(entries)
    ]
    it = struct.pack(order + "HHI4s", 274, kind, count, value_bytes)
    body = b"".join([*others, it])
    head = b"II*\0" if order == "<" else b"MM\0*"
    head += struct.pack(order + "I", 8) + struct.pack(order + "H", entries + 1)
    return head + body + bytes(4)


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


def _insert(encoded: bytes, position: int, extra: bytes) -> bytes:
    return encoded[:position] + extra + encoded[position:]


_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _jpegs() -> Iterator[Case]:
    plain = _saved(Image.fromarray(_picture()), "JPEG", quality=92)
    expected = _pillow(plain)
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
        app1 = _segment(0xE1, b"Exif\0\0" + _exif(orientation, order))
        yield Case(
            f"JPEG, EXIF {orientation} {order} {front}",
            _insert(plain, place, before + app1),
            _turned(expected, orientation),
            JPEG_TOLERANCE,
        )
    for name, block, orientation in (
        ("orientation 0", _exif(0), 1),
        ("orientation 9", _exif(9), 1),
        ("orientation 300", _exif(300), 1),
        ("as LONG", _exif(6, ">", 4), 6),
        ("as LONG beyond 16 bits", _exif(65536 + 6, "<", 4), 1),
        ("as BYTE", _exif(6, ">", 1), 6),
        ("of two values", _exif(6, "<", 3, 2), 1),
        ("as text", _exif(6, "<", 2), 1),
        ("100 entries", _exif(8, "<", entries=100), 8),
        ("cut", _exif(6)[:20], 1),
        ("no TIFF", b"XX" + _exif(6)[2:], 1),
        ("empty", b"", 1),
        ("directory far away", b"II*\0\xff\xff\xff\x7f", 1),
    ):
        app1 = _segment(0xE1, b"Exif\0\0" + block)
        yield Case(
            f"JPEG, EXIF {name}",
            _insert(plain, 2, app1),
            _turned(expected, orientation),
            JPEG_TOLERANCE,
        )
    picture = Image.fromarray(_picture())
    kinds: dict[str, dict[str, object]] = {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimized": {"optimize": True},
        "restarts": {"restart_marker_blocks": 2},
        "ICC": {"icc_profile": _SRGB},
    }
    for mode, kind, sampling in product(("L", "RGB", "CMYK"), kinds, (0, 1, 2)):
        encoded = _saved(
            picture.convert(mode),
            "JPEG",
            quality=92,
            subsampling=sampling,
            **kinds[kind],
        )
        name = f"JPEG, {mode} {kind} {sampling}"
        yield Case(name, encoded, _pillow(encoded), JPEG_TOLERANCE)
        if mode != "CMYK":
            continue
        place = encoded.index(b"Adobe") - 4
        bare = encoded[:place] + encoded[place + 16 :]
        yield Case(f"{name} no marker", bare, _pillow(bare), JPEG_TOLERANCE)
        marked = encoded[: place + 15] + b"\x02" + encoded[place + 16 :]
        yield Case(f"{name} YCCK", marked, _pillow(marked), YCCK_TOLERANCE)
    kept = _saved(picture, "JPEG", quality=92, keep_rgb=True)
    yield Case("JPEG, stored as RGB", kept, _pillow(kept), JPEG_TOLERANCE)
    mpo = _saved(picture, "MPO", save_all=True, append_images=[picture.rotate(180)])
    yield Case("MPO", mpo, _pillow(mpo), JPEG_TOLERANCE)
    frame = places["c0"]
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
    crowd = _insert(plain, 2, _segment(0xEB, b"") * 20_000)
    yield Case("JPEG, 20,000 segments", crowd, refusal="segments")


def _chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(kind + payload)
    return (
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)
    )


_PNG_START = b"\x89PNG\r\n\x1a\n"
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def _packed(samples: np.ndarray, depth: int) -> bytes:
    """Return rows of samples, int (H, W, C), as PNG stores them, unfiltered."""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, np.newaxis], axis=1)
            data = np.packbits(bits[:, 8 - depth :]).tobytes()
        rows += b"\0" + data
    return rows


def _png(
    samples: np.ndarray,
    colour_type: int,
    depth: int,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    idat_bytes: int = 1 << 30,
) -> bytes:
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in _ADAM7]
        raw = b"".join(_packed(each, depth) for each in passes if each.size)
    else:
        raw = _packed(samples, depth)
    stream = zlib.compress(raw)
    pieces = [
        stream[start : start + idat_bytes]
        for start in range(0, len(stream), idat_bytes)
    ]
    pixels = b"".join(_chunk(b"IDAT", each) for each in pieces)
    end = _chunk(b"IEND", b"")
    return _PNG_START + _chunk(b"IHDR", head) + before + pixels + after + end


_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGB_ALPHA: (8, 16),
}


def _samples(colour_type: int, depth: int) -> np.ndarray:
    """Return samples over their whole range, int (H, W, C)."""
    picture = _picture().astype(np.int64)
    if colour_type in (_GREY, _PALETTE, _GREY_ALPHA):
        picture = picture[..., :1]
    if colour_type in (_GREY_ALPHA, _RGB_ALPHA):
        alpha = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) % 256
        picture = np.concatenate([picture, alpha], -1)
    scaled = picture * (2**depth - 1) / 255
    low = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1) % 200 if depth > 8 else 0
    return np.minimum(np.round(scaled) + low, 2**depth - 1).astype(np.int64)


def _palette(count: int) -> np.ndarray:
    chance = np.random.default_rng(count)
    return chance.integers(0, 256, (count, 3)).astype(np.uint8)


def _shown(samples: np.ndarray, colour_type: int, depth: int) -> np.ndarray:
    """Return 8-bit RGB on white of samples without a key colour or palette."""
    values = samples * 255 / (2**depth - 1)
    channels = values.shape[-1]
    colours = values[..., : 3 if channels > 2 else 1]
    colours = np.broadcast_to(colours, (*colours.shape[:2], 3))
    if channels in (2, 4):
        return _on_white(colours, values[..., -1])
    return np.round(colours).astype(np.uint8)


def _pngs() -> Iterator[Case]:
    modes = [(kind, depth) for kind, depths in _DEPTHS.items() for depth in depths]
    for (kind, depth), interlaced in product(modes, (False, True)):
        name = f"PNG, type {kind}, {depth} bits{', interlaced' * interlaced}"
        samples = _samples(kind, depth)
        if kind == _PALETTE:
            colours = _palette(2**depth)
            table = _chunk(b"PLTE", colours.tobytes())
            shown = colours[samples[..., 0]]
            alpha = np.array([0, 100, 255, 7], np.uint8)[: 2**depth]
            whole = np.concatenate([alpha, np.full(256, 255, np.uint8)])
            clear = table + _chunk(b"tRNS", alpha.tobytes())
            see_through = _on_white(shown, whole[samples[..., 0]])
        else:
            table, shown = b"", _shown(samples, kind, depth)
            key = samples[1, 1]
            clear = _chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
            is_key = (samples == key).all(-1)
            see_through = np.where(is_key[..., np.newaxis], 255, shown).astype(np.uint8)
        encoded = _png(samples, kind, depth, interlaced=interlaced, before=table)
        yield Case(name, encoded, shown)
        if kind in (_GREY, _RGB, _PALETTE):
            encoded = _png(samples, kind, depth, interlaced=interlaced, before=clear)
            yield Case(f"{name}, tRNS", encoded, see_through)
    for orientation, is_behind, kind in product(
        ORIENTATIONS, (False, True), (_GREY, _RGB, _RGB_ALPHA)
    ):
        exif = _chunk(b"eXIf", _exif(orientation, "<>"[orientation % 2]))
        samples = _samples(kind, 8)
        place = {"after" if is_behind else "before": exif}
        yield Case(
            f"PNG, type {kind}, eXIf {orientation} {next(iter(place))} its pixels",
            _png(samples, kind, 8, **place),
            _turned(_shown(samples, kind, 8), orientation),
        )
    samples, shown = _samples(_RGB, 8), _shown(_samples(_RGB, 8), _RGB, 8)
    exif = _chunk(b"eXIf", b"Exif\0\0" + _exif(6))
    turned = _turned(shown, 6)
    gamma = _chunk(b"gAMA", bytes(3) + b"a")
    icc = _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(_SRGB))
    text = b"\nexif\n      10\n" + _exif(6).hex().encode()
    for name, encoded, expected in (
        ("eXIf with a prefix", _png(samples, _RGB, 8, before=exif), turned),
        ("pixels by 7 bytes", _png(samples, _RGB, 8, idat_bytes=7, after=exif), turned),
        ("pixels by 50 bytes", _png(samples, _RGB, 8, idat_bytes=50), shown),
        (
            "gAMA",
            _png(samples, _RGB, 8, before=gamma),
            shown,
        ),
        ("ICC", _png(samples, _RGB, 8, before=icc), shown),
        ("junk behind it", _png(samples, _RGB, 8) + b"junk" * 9, shown),
        (
            "EXIF as text, which viewers leave",
            _png(
                samples,
                _RGB,
                8,
                before=_chunk(b"tEXt", b"Raw profile type exif\0" + text),
            ),
            shown,
        ),
    ):
        yield Case(f"PNG, {name}", encoded, expected)
    image = Image.fromarray(shown)
    animated = _saved(image, "PNG", save_all=True, append_images=[image.rotate(180)])
    yield Case("PNG, animated", animated, shown)
    plain = _png(samples, _RGB, 8)
    apple = _insert(plain, 8, _chunk(b"CgBI", bytes(4)))
    yield Case("PNG of Apple", apple, refusal="CgBI")
    yield Case("PNG, cut", plain[: len(plain) * 2 // 3], refusal="damaged PNG")
    yield Case("PNG, head only", plain[:20], refusal="damaged PNG")
    crowd = b"".join(_chunk(b"tEXt", b"a\0" + b"b" * (n % 3)) for n in range(20_000))
    yield Case(
        "PNG, 20,000 chunks", _png(samples, _RGB, 8, before=crowd), refusal="chunks"
    )


def _gif_codes(indices: np.ndarray, depth: int) -> bytes:
    """Return pixels as LZW without compression: a table is never full."""
    clear, bits, width = 1 << depth, [], depth + 1
    for number, index in enumerate(indices.ravel().tolist()):
        if number % max(clear - 2, 1) == 0:
            bits.append(clear)
        bits.append(index)
    bits.append(clear + 1)
    stream = "".join(f"{code:0{width}b}"[::-1] for code in bits)
    stream += "0" * (-len(stream) % 8)
    data = bytes(int(stream[i : i + 8][::-1], 2) for i in range(0, len(stream), 8))
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return bytes([depth]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


def _gif(
    indices: np.ndarray,
    colours: np.ndarray,
    *,
    canvas: tuple[int, int],
    offset: tuple[int, int] = (0, 0),
    transparent: int | None = None,
    interlaced: bool = False,
    is_local: bool = False,
    extra: bytes = b"",
) -> bytes:
    """Return a GIF; canvas is (width, height), offset (left, top)."""
    height, width = indices.shape
    depth = max(2, (len(colours) - 1).bit_length())
    flags = 0x80 | ((len(colours) - 1).bit_length() - 1)
    table = colours.tobytes()
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0 if is_local else flags, 1, 0)
    control = b""
    if transparent is not None:
        control = b"!\xf9\x04" + struct.pack("<BHB", 1, 0, transparent) + b"\0"
    descriptor = b"," + struct.pack("<HHHH", *offset, width, height)
    descriptor += bytes([(flags if is_local else 0) | 0x40 * interlaced])
    rows = indices
    if interlaced:
        order = [range(0, height, 8), range(4, height, 8), range(2, height, 4)]
        rows = np.concatenate([indices[each] for each in [*order, range(1, height, 2)]])
    return (
        head
        + (b"" if is_local else table)
        + extra
        + control
        + descriptor
        + (table if is_local else b"")
        + _gif_codes(rows, depth)
        + b";"
    )


def _gifs() -> Iterator[Case]:
    for count, interlaced, transparent, is_small, is_local in product(
        (2, 8, 64, 256), (False, True), (False, True), (False, True), (False, True)
    ):
        colours = _palette(count)
        indices = _picture()[..., 0].astype(int) * count // 256
        canvas, offset = (WIDTH, HEIGHT), (0, 0)
        if is_small:
            canvas, offset = (WIDTH + 9, HEIGHT + 7), (5, 3)
        shown = np.full((canvas[1], canvas[0], 3), 255, np.uint8)
        frame = colours[indices]
        key = int(indices[2, -3])
        if transparent:
            frame = np.where((indices == key)[..., np.newaxis], 255, frame)
        shown[offset[1] :, offset[0] :][:HEIGHT, :WIDTH] = frame
        words = [
            "interlaced" * interlaced,
            "transparent" * transparent,
            "on a larger canvas" * is_small,
            "local palette" * is_local,
        ]
        yield Case(
            f"GIF, {count} colours {' '.join(words)}",
            _gif(
                indices,
                colours,
                canvas=canvas,
                offset=offset,
                transparent=key if transparent else None,
                interlaced=interlaced,
                is_local=is_local,
            ),
            shown,
            0,
        )
    colours = _palette(16)
    indices = _picture()[..., 0].astype(int) // 16
    full = {"canvas": (WIDTH, HEIGHT)}
    beyond = np.full((HEIGHT + 4, WIDTH + 6, 3), 255, np.uint8)
    beyond[4:, 6:] = colours[indices]
    encoded = _gif(indices, colours, canvas=(WIDTH, HEIGHT), offset=(6, 4))
    yield Case("GIF, a frame beyond its canvas", encoded, beyond, 0)
    comment = b"!\xfe" + b"\xff" + b"c" * 255 + b"\x03abc\0"
    encoded = _gif(indices, colours, extra=comment * 300, **full)
    yield Case("GIF, many comments", encoded, colours[indices], 0)
    image = Image.fromarray(_picture())
    moving = _saved(image, "GIF", save_all=True, append_images=[image.rotate(180)])
    yield Case("GIF, animated", moving, _pillow(moving), 0)
    plain = _gif(indices, colours, **full)
    yield Case("GIF, cut", plain[: len(plain) * 2 // 3], refusal="damaged GIF")
    yield Case("GIF, head only", plain[:12], refusal="damaged GIF")
    bare = plain[:10] + b"\0" + plain[11:13] + plain[13 + 48 :]
    yield Case("GIF, no palette", bare, refusal="without a palette")
    huge = _gif(indices, colours, canvas=(60_000, 60_000))
    yield Case("GIF, a huge canvas", huge, refusal="pixels")


def _bmp(
    rows: Sequence[bytes],
    width: int,
    depth: int,
    *,
    info_bytes: int = 40,
    compression: int = 0,
    masks: Sequence[int] = (),
    colours: np.ndarray | None = None,
    top_down: bool = False,
    num_colours: int = 0,
) -> bytes:
    """Return a BMP of rows from top to bottom."""
    height = len(rows)
    if info_bytes == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, depth)
    else:
        tall = -height if top_down else height
        info = struct.pack(
            "<IiiHHIIiiII",
            *(info_bytes, width, tall, 1, depth, compression, 0, 2835, 2835),
            *(num_colours, 0),
        )
        packed = struct.pack(f"<{len(masks)}I", *masks)
        info = (
            info + packed
            if info_bytes == 40
            else (info + packed).ljust(info_bytes, b"\0")
        )
    table = b""
    if colours is not None:
        end = b"" if info_bytes == 12 else b"\0"
        table = b"".join(bytes(colour[::-1]) + end for colour in colours)
    padded = [row.ljust(-(-len(row) // 4) * 4, b"\0") for row in rows]
    pixels = b"".join(padded if top_down else padded[::-1])
    offset = 14 + len(info) + len(table)
    head = struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset)
    return head + info + table + pixels


_MASKS_OF_16 = {
    "RGB565": (0xF800, 0x07E0, 0x001F),
    "RGB555": (0x7C00, 0x03E0, 0x001F),
    "BGR565": (0x001F, 0x07E0, 0xF800),
    "RGB444": (0x0F00, 0x00F0, 0x000F),
}
_MASKS_OF_32 = {
    "BGRX": (0xFF0000, 0xFF00, 0xFF),
    "RGBX": (0xFF, 0xFF00, 0xFF0000),
    "XBGR": (0xFF000000, 0xFF0000, 0xFF00),
    "10 bits": (0x3FF00000, 0xFFC00, 0x3FF),
}


def _pack_masked(
    channels: np.ndarray, masks: Sequence[int], kind: str
) -> tuple[list[bytes], np.ndarray]:
    """Return rows of packed channels (H, W, C), and the 8-bit values that they hold."""
    numbers = np.zeros(channels.shape[:2], np.uint64)
    held = []
    for index, mask in enumerate(masks):
        step = mask & -mask
        most = mask // step
        values = np.round(channels[..., index].astype(float) * most / 255)
        numbers |= values.astype(np.uint64) * np.uint64(step)
        held.append(np.round(values * 255 / most))
    rows = [row.astype(kind).tobytes() for row in numbers]
    return rows, np.stack(held, -1).astype(np.uint8)


def _bmps() -> Iterator[Case]:
    picture = _picture()
    width = WIDTH - 3  # Rows are padded.
    picture = picture[:, :width]
    directions = [(False, n) for n in (12, 40, 52, 56, 64, 108, 124)]
    directions += [(True, n) for n in (40, 108, 124)]
    for depth, (top_down, info_bytes) in product((1, 4, 8, 24, 32), directions):
        kind = {"info_bytes": info_bytes, "top_down": top_down}
        name = f"BMP, {depth} bits, header {info_bytes}{', top down' * top_down}"
        if depth >= 24:
            extra = np.full((HEIGHT, width, 1), 7, np.uint8)
            stored = picture[..., ::-1]
            if depth == 32:  # The fourth byte says nothing.
                stored = np.concatenate([stored, extra], -1)
            rows = [row.tobytes() for row in stored]
            yield Case(name, _bmp(rows, width, depth, **kind), picture, 0)
            continue
        colours = _palette(2**depth)
        indices = (picture[..., 0].astype(int) << depth) >> 8
        bits = np.unpackbits(indices.astype(np.uint8)[..., np.newaxis], axis=-1)
        packed = np.packbits(bits[..., 8 - depth :].reshape(HEIGHT, -1), axis=-1)
        rows = [row.tobytes() for row in packed]
        encoded = _bmp(rows, width, depth, colours=colours, **kind)
        yield Case(name, encoded, colours[indices], 0)
        if info_bytes != 12 and depth > 1:
            few = colours[:3]
            indices = np.minimum(indices, 2)
            bits = np.unpackbits(indices.astype(np.uint8)[..., np.newaxis], axis=-1)
            packed = np.packbits(bits[..., 8 - depth :].reshape(HEIGHT, -1), axis=-1)
            rows = [row.tobytes() for row in packed]
            encoded = _bmp(rows, width, depth, colours=few, num_colours=3, **kind)
            yield Case(f"{name}, 3 colours", encoded, few[indices], 0)
    rows, held = _pack_masked(picture, _MASKS_OF_16["RGB555"], "<u2")
    yield Case("BMP, 16 bits", _bmp(rows, width, 16), held)
    for depth, table in ((16, _MASKS_OF_16), (32, _MASKS_OF_32)):
        for (name, masks), info_bytes in product(table.items(), (40, 52, 108)):
            rows, held = _pack_masked(picture, masks, f"<u{depth // 8}")
            encoded = _bmp(
                rows, width, depth, info_bytes=info_bytes, compression=3, masks=masks
            )
            yield Case(f"BMP, masks {name}, header {info_bytes}", encoded, held)
    alpha = np.arange(HEIGHT * width).reshape(HEIGHT, width, 1) % 256
    with_alpha = np.concatenate([picture, alpha], -1)
    for masks, info_bytes in product(
        ((0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xF00, 0xF0, 0xF, 0xF000)),
        (56, 108, 124),
    ):
        depth = 32 if masks[0] > 0xFFFF else 16
        rows, held = _pack_masked(with_alpha, masks, f"<u{depth // 8}")
        encoded = _bmp(
            rows, width, depth, info_bytes=info_bytes, compression=3, masks=masks
        )
        expected = _on_white(held[..., :3], held[..., 3])
        yield Case(f"BMP, {depth} bits, alpha, header {info_bytes}", encoded, expected)
    rows = [bytes(width)] * HEIGHT
    for compression, words in (
        (1, "run-length"),
        (2, "run-length"),
        (4, "holds a JPEG"),
        (5, "holds a JPEG"),
        (11, "unknown kind"),
    ):
        encoded = _bmp(rows, width, 8, compression=compression, colours=_palette(256))
        yield Case(f"BMP, compression {compression}", encoded, refusal=words)
    rows = [row.tobytes() for row in np.zeros((HEIGHT, width, 4), np.uint8)]
    masks = (0xF0F000, 0xFF, 0xFF000000)
    encoded = _bmp(rows, width, 32, compression=3, masks=masks)
    yield Case("BMP, masks with a gap", encoded, refusal="masks")
    encoded = _bmp(rows, width, 32)
    yield Case("BMP, cut", encoded[:-40], refusal="damaged BMP")
    huge = encoded[:18] + struct.pack("<ii", 60_000, 60_000) + encoded[26:]
    yield Case("BMP, huge", huge, refusal="BMP")


def _webps() -> Iterator[Case]:
    picture = _picture()
    alpha = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256).astype(np.uint8)
    for orientation, lossless, has_alpha in product(
        (*ORIENTATIONS, 0), (True, False), (False, True)
    ):
        image = Image.fromarray(picture)
        if has_alpha:
            image.putalpha(Image.fromarray(alpha))
        options = {"exif": _exif(orientation)} if orientation else {}
        if orientation % 2:
            options = {"exif": b"Exif\0\0" + _exif(orientation, ">")}
        encoded = _saved(
            image, "WEBP", lossless=lossless, exact=True, quality=95, **options
        )
        with Image.open(io.BytesIO(encoded)) as opened:
            shown = np.asarray(opened.convert("RGBA"))
        expected = shown[..., :3]
        if has_alpha:
            expected = _on_white(shown[..., :3], shown[..., 3])
        yield Case(
            f"WebP, EXIF {orientation}{' lossless' * lossless}{' alpha' * has_alpha}",
            encoded,
            _turned(expected, max(orientation, 1)),
            WEBP_TOLERANCE,
        )
    image = Image.fromarray(picture)
    encoded = _saved(image, "WEBP", lossless=True, icc_profile=_SRGB)
    yield Case("WebP, ICC", encoded, picture)
    for lossless, mode in product((True, False), ("RGB", "RGBA")):
        frame = image.convert(mode)
        encoded = _saved(
            frame,
            "WEBP",
            save_all=True,
            append_images=[frame.rotate(180)],
            lossless=lossless,
        )
        yield Case(
            f"WebP, animated {mode}{' lossless' * lossless}",
            encoded,
            refusal="an animated WebP; save its first frame",
        )
    plain = _saved(image, "WEBP")
    yield Case("WebP, cut", plain[: len(plain) * 2 // 3], refusal="damaged WebP")
    yield Case("WebP, head only", plain[:16], refusal="damaged WebP")


def _others() -> Iterator[Case]:
    image = Image.fromarray(_picture())
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
        yield Case(name, _saved(image, name), refusal=words)
    for name, start, words in (
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


@pytest.fixture(scope="session")
def corpus() -> list[Case]:
    """Every case, one after the other."""
    makers: list[Callable[[], Iterator[Case]]] = [
        _jpegs,
        _pngs,
        _gifs,
        _bmps,
        _webps,
        _others,
    ]
    return [case for maker in makers for case in maker()]
