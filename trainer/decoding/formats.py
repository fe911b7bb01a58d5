"""The supported image formats, and the messages for refused files.

Ingestion, the exported model and `graft predict` all use these messages. So the same
file gets the same message everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

from graft.contract.example_keys import IMAGE_FORMATS

JPEG, PNG, GIF, BMP, WEBP, UNKNOWN_FORMAT = range(len(IMAGE_FORMATS) + 1)
"""Numbers of the formats, in the order of `IMAGE_FORMATS`, and of any other file."""

FORMAT_NAMES = ("JPEG", "PNG", "GIF", "BMP", "WebP")
"""Names of the formats in messages, in the order of their numbers."""

MAX_PIXELS = 2**29 // 3
"""Greatest number of pixels: the limit of TensorFlow's JPEG decoder.

Its PNG decoder takes three times as many. A small file can hold so many, and they would
keep a server busy for long.
"""

MAX_PARTS = 16384
"""Greatest number of segments or chunks to read in one file."""

EMPTY = "empty file (0 bytes)"

# The parts of `not an image (12 bytes); ...` before and after the number.
NO_IMAGE_START = "not an image ("
NO_IMAGE_END = " bytes); JPEG, PNG, GIF, BMP or WebP are"

FINE = 0
"""Code of a file that isn't refused."""

REFUSALS = (
    "",
    "a JPEG with arithmetic coding; save it as a baseline JPEG or as PNG",
    "a lossless JPEG; save it as a baseline JPEG or as PNG",
    "a hierarchical JPEG; save it as a baseline JPEG or as PNG",
    "a JPEG-LS; save it as a baseline JPEG or as PNG",
    "a JPEG of more than 8 bits a channel; save it as a baseline JPEG or as PNG",
    "a JPEG of neither 1, 3 nor 4 channels; save it as a baseline JPEG or as PNG",
    f"a JPEG of more than {MAX_PARTS} segments; save it anew as JPEG or PNG",
    "a PNG of Apple's own kind (CgBI); save it as a standard PNG",
    f"a PNG of more than {MAX_PARTS} chunks; save it anew as PNG",
    f"a PNG of more than {MAX_PIXELS} pixels; save it smaller",
    "a GIF without a palette; save it as PNG",
    f"a GIF of more than {MAX_PIXELS} pixels; save it smaller",
    f"a GIF of more than {MAX_PARTS} blocks in front of its picture; save it as PNG",
    "a run-length encoded BMP; save it as PNG",
    "a BMP that holds a JPEG or PNG; save that instead",
    "a BMP of an unknown kind; save it as PNG",
    "a BMP with unusual channel masks; save it as PNG",
    f"a BMP of more than {MAX_PIXELS} pixels; save it smaller",
    "an animated WebP; save its first frame as PNG",
    f"a WebP of more than {MAX_PARTS} chunks; save it anew as PNG",
    f"a WebP of more than {MAX_PIXELS} pixels; save it smaller",
    *(
        f"damaged {name}: incomplete, or not what it was; replace or remove it"
        for name in FORMAT_NAMES
    ),
)
"""Messages for refused files of supported formats, by code."""

(
    _fine,
    JPEG_ARITHMETIC,
    JPEG_LOSSLESS,
    JPEG_HIERARCHICAL,
    JPEG_LS,
    JPEG_DEEP,
    JPEG_CHANNELS,
    JPEG_SEGMENTS,
    PNG_APPLE,
    PNG_CHUNKS,
    PNG_TOO_LARGE,
    GIF_NO_PALETTE,
    GIF_TOO_LARGE,
    GIF_BLOCKS,
    BMP_RUN_LENGTH,
    BMP_EMBEDDED,
    BMP_UNKNOWN,
    BMP_MASKS,
    BMP_TOO_LARGE,
    WEBP_ANIMATED,
    WEBP_CHUNKS,
    WEBP_TOO_LARGE,
    *_damaged,
) = range(len(REFUSALS))
DAMAGED = len(REFUSALS) - len(FORMAT_NAMES)
"""Code of a damaged file, minus the number of its format."""


class ForeignFormat(NamedTuple):
    """An unsupported file format.

    Attributes:
        signature: Bytes that identify the format.
        position: Position of the signature in the file.
        refusal: Message for such a file.
    """

    signature: bytes
    position: int
    refusal: str


def _unsupported(name: str) -> str:
    return f"{name} is not supported; save it as JPEG or PNG"


_RAW = _unsupported("a camera's raw file")
_TIFF = _unsupported("TIFF")
_HTML = "a web page (HTML), not an image; download the image itself"
_VIDEO = "a video, not an image; save its frames as JPEG or PNG"
_SOUND = "a sound file, not an image; leave it out"
_ARCHIVE = "an archive, not an image; unpack it"

FOREIGN_FORMATS = tuple(
    ForeignFormat(signature, position, refusal)
    for position, signature, refusal in (
        *(
            (4, b"ftyp" + brand, _unsupported("HEIC"))
            for brand in b"heic heix hevc hevx heim heis hevm hevs".split()
        ),
        *((4, b"ftyp" + brand, _unsupported("AVIF")) for brand in (b"avif", b"avis")),
        *((4, b"ftyp" + brand, _unsupported("HEIF")) for brand in (b"mif1", b"msf1")),
        (4, b"ftypcrx", _RAW),
        (4, b"ftyp", _VIDEO),
        (8, b"CR\x02", _RAW),
        (0, b"IIRO", _RAW),
        (0, b"IIRS", _RAW),
        (0, b"MMOR", _RAW),
        (0, b"IIU\0", _RAW),
        (0, b"FUJIFILMCCD-RAW", _RAW),
        (0, b"FOVb", _RAW),
        (0, b"\0MRM", _RAW),
        (0, b"II\xbc", _unsupported("JPEG XR")),
        (0, b"II*\0", _TIFF),
        (0, b"MM\0*", _TIFF),
        (0, b"II+\0", _TIFF),
        (0, b"MM\0+", _TIFF),
        (0, b"\xff\x0a", _unsupported("JPEG XL")),
        (0, b"\0\0\0\x0cJXL ", _unsupported("JPEG XL")),
        (0, b"\0\0\0\x0cjP  ", _unsupported("JPEG 2000")),
        (0, b"\xff\x4f\xff\x51", _unsupported("JPEG 2000")),
        # Before CUR, which begins in the same way but with a number above 0.
        *(
            (0, b"\0" + kind + b"\0\0\0\0\0", _unsupported("TGA"))
            for kind in (b"\0\x02", b"\0\x03", b"\0\x0a", b"\0\x0b")
        ),
        *(
            (0, b"\0\x01" + kind + b"\0\0", _unsupported("TGA"))
            for kind in (b"\x01", b"\x09")
        ),
        (0, b"\0\0\x01\0", _unsupported("ICO")),
        (0, b"\0\0\x02\0", _unsupported("CUR")),
        (0, b"icns", _unsupported("ICNS")),
        (0, b"8BPS", _unsupported("PSD")),
        (0, b"gimp xcf", _unsupported("XCF")),
        (0, b"%PDF-", _unsupported("PDF")),
        (0, b"%!PS", _unsupported("PostScript")),
        (0, b"\xc5\xd0\xd3\xc6", _unsupported("PostScript")),
        (0, b"AT&TFORM", _unsupported("DjVu")),
        (0, b"DDS ", _unsupported("DDS")),
        (0, b"v/1\x01", _unsupported("OpenEXR")),
        (0, b"#?RADIANCE", _unsupported("Radiance HDR")),
        (0, b"#?RGBE", _unsupported("Radiance HDR")),
        (0, b"qoif", _unsupported("QOI")),
        (0, b"FLIF", _unsupported("FLIF")),
        (0, b"BPG\xfb", _unsupported("BPG")),
        (0, b"\x8aMNG\r\n\x1a\n", _unsupported("MNG")),
        (0, b"\x8bJNG\r\n\x1a\n", _unsupported("JNG")),
        (0, b"\x0a\x05\x01", _unsupported("PCX")),
        (0, b"\xd7\xcd\xc6\x9a", _unsupported("WMF")),
        (40, b" EMF", _unsupported("EMF")),
        (0, b"SIMPLE  =", _unsupported("FITS")),
        (128, b"DICM", _unsupported("DICOM")),
        (0, b"\x93NUMPY", _unsupported("a NumPy array")),
        (0, b"\x89HDF", _unsupported("HDF5")),
        (0, b"version https://git-lfs", "a Git LFS pointer; run `git lfs pull`"),
        (0, b"\0\x05\x16\x07", "an AppleDouble file (`._*`) of macOS; leave it out"),
        (8, b"AVI ", _VIDEO),
        (0, b"\x1aE\xdf\xa3", _VIDEO),
        (8, b"WAVE", _SOUND),
        (0, b"ID3", _SOUND),
        (0, b"PK\x03\x04", _ARCHIVE),
        (0, b"\x1f\x8b", _ARCHIVE),
        (0, b"7z\xbc\xaf", _ARCHIVE),
        (0, b"Rar!", _ARCHIVE),
    )
)
"""Unsupported formats that have a signature. The first match counts."""

TEXT_FORMATS = (
    (r"[^<]{0,64}<(\?xml|!--)\C*<svg[\s>]\C*", _unsupported("SVG")),
    (r"(?i)[^<]{0,64}<(svg|!doctype svg)[\s>]\C*", _unsupported("SVG")),
    (r"(?i)[^<]{0,64}<(!doctype html|html|head|body)[\s>]\C*", _HTML),
    (r"P[1-7fF]\s\C*", _unsupported("PNM")),
)
"""Unsupported text formats, by an RE2 pattern for the first `TEXT_BYTES`."""

TEXT_BYTES = 1024
FOREIGN_BYTES = max(each.position + len(each.signature) for each in FOREIGN_FORMATS)


def damaged(format_number: int) -> str:
    """Return the message for a damaged file of a format."""
    return REFUSALS[DAMAGED + format_number]


def no_image(num_bytes: int) -> str:
    """Return the message for a file of no known format."""
    return f"{NO_IMAGE_START}{num_bytes}{NO_IMAGE_END}"
