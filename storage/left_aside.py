"""Recognize, by their names, files in a folder of images that are not images.

Ingestion, the data fingerprint, `graft predict` and `graft load-test` leave them aside
and count them by kind.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping

OUTPUT_MARKER = ".graft-output"
"""A folder with a file of this name is output of graft, and never data."""

HIDDEN = "hidden"
MACOS = "of macOS"
WINDOWS = "of Windows"
STORAGE_DEVICE = "of a storage device"
DOWNLOAD = "unfinished downloads"
OUTPUT = "of graft's output"
DOCUMENT = "documents"
BACKUP = "backup copies"

_KIND_OF_FOLDER = {
    "__macosx": MACOS,
    "$recycle.bin": WINDOWS,
    "system volume information": WINDOWS,
    "@eadir": STORAGE_DEVICE,
    "@tmp": STORAGE_DEVICE,
    "@recycle": STORAGE_DEVICE,
    "@recently-snapshot": STORAGE_DEVICE,
    "@__thumb": STORAGE_DEVICE,
    "#recycle": STORAGE_DEVICE,
    "#snapshot": STORAGE_DEVICE,
    "lost+found": STORAGE_DEVICE,
    "lost.dir": STORAGE_DEVICE,
    "__pycache__": HIDDEN,
    "graft_output": OUTPUT,
}
_KIND_OF_FILE = {
    "icon\r": MACOS,
    "_ds_store": MACOS,
    "thumbs.db": WINDOWS,
    "ehthumbs.db": WINDOWS,
    "ehthumbs_vista.db": WINDOWS,
    "desktop.ini": WINDOWS,
    "picasa.ini": WINDOWS,
    "zbthumbnail.info": WINDOWS,
    "pspbrwse.jbf": WINDOWS,
    "_success": DOCUMENT,
}
_DOCUMENTS = frozenset(
    "readme license licence copying notice changelog changes authors contributors "
    "citation manifest version makefile dockerfile md5sums sha1sums sha256sums "
    "checksums".split()
)
_DOWNLOAD_EXTENSIONS = frozenset(
    ".part .partial .crdownload .download .opdownload .filepart .aria2 .!ut .!qb "
    ".tmp".split()
)
# Extensions of files beside images. The kind of such a file is its extension.
_SIDECAR_EXTENSIONS = frozenset(
    ".txt .md .rst .html .htm .xml .json .jsonl .ndjson .csv .tsv .yaml .yml .toml "
    ".ini .cfg .conf .pdf .doc .docx .xls .xlsx .ods .odt .rtf .zip .tar .gz .tgz .bz2 "
    ".xz .zst .7z .rar .py .ipynb .sh .bat .ps1 .log .mat .npy .npz .h5 .hdf5 .pkl "
    ".pickle .db .db-journal .sqlite .parquet .feather .arrow .names .data .cache .dvc "
    ".lnk .url .lst .list .label .lbl .cls .caption .tags .sha1 .sha256 .md5 .sum "
    ".torrent .mp4 .m4v .mov .avi .mkv .webm .mpg "
    ".mpeg .3gp .mts .wmv .wav .mp3 .m4a .xmp .aae .thm .lrv .bak .pb .ckpt .pt .pth "
    ".onnx .keras .tflite .safetensors .index .labels".split()
)
# An NTFS file may have a second stream, after a colon. A share or an archive replaces
# the colon by another letter.
_STREAM = re.compile(
    r".*zone\.identifier(:\$data)?"
    r"|.*[:\uf03a\uf022](smartscreen|afp_\w+|com\.[\w.]+|encryptable|favicon)(:\$data)?"
    r"|.*:\w*:\$data",
    re.IGNORECASE | re.DOTALL,
)
# Most files of most folders. One look is much faster than those of `kind_of_companion`.
_PLAIN_IMAGE = re.compile(
    r"(?![.~])[^:\uf03a\uf022]*\.(?:jpe?g|png|gif|bmp|webp)", re.IGNORECASE
)


def kind_of_folder(name: str) -> str | None:
    """Return the kind of a folder that is left aside with its contents, or None."""
    kind = _KIND_OF_FOLDER.get(name.lower())
    if kind is None and name.startswith("."):
        return HIDDEN
    return kind


def kind_of_companion(name: str) -> str | None:  # noqa: PLR0911
    """Return the kind of a file that an operating system or program wrote, or None."""
    if _PLAIN_IMAGE.fullmatch(name):
        return None
    lower = name.lower()
    if name.startswith("._") or lower == ".ds_store":
        return MACOS
    if name.startswith("."):
        return HIDDEN
    if lower in _KIND_OF_FILE:
        return _KIND_OF_FILE[lower]
    if _STREAM.fullmatch(name):
        return WINDOWS
    extension = os.path.splitext(lower)[1]
    if extension in _DOWNLOAD_EXTENSIONS:
        return DOWNLOAD
    if lower.endswith("~") or lower.startswith("~$"):
        return BACKUP
    if lower.endswith("_$folder$"):
        return HIDDEN
    return None


def kind_of_sidecar(name: str) -> str | None:
    """Return the kind of a file that people put beside images, or None.

    Such a file may matter: a table can hold the labels.
    """
    stem, extension = os.path.splitext(name.lower())
    if extension in _SIDECAR_EXTENSIONS:
        return extension
    return DOCUMENT if not extension and stem in _DOCUMENTS else None


def kind_of_file(name: str) -> str | None:
    """Return the kind of a file that is left aside, or None if it may be an image."""
    if _PLAIN_IMAGE.fullmatch(name):
        return None
    return kind_of_companion(name) or kind_of_sidecar(name)


def kind_of_path(name: str, *, is_folder: bool) -> str | None:
    """Return the kind of a file by `kind_of_companion`, or of a folder, or None."""
    return kind_of_folder(name) if is_folder else kind_of_companion(name)


def describe(kinds: Mapping[str, int]) -> str:
    """Return counts by kind as text: `3 hidden, 2 .txt`."""
    ordered = sorted(Counter(kinds).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {kind}" for kind, number in ordered)
