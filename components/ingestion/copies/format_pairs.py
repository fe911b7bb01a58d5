"""Ask about images of one name in two formats, such as `1.jpg` beside `1.png`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable

from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.object_exports import as_option, class_folders
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
)
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted

_FEWEST_PAIRS = 2
_JPEG = ("jpg", "jpeg")
_READ = frozenset("jpg jpeg jpe jfif png gif bmp dib webp".split())
# Formats that graft refuses: camera raw files, and those of `trainer.decoding`.
_REFUSED = frozenset(
    "cr2 cr3 crw nef nrw arw srf sr2 dng orf rw2 raf pef srw raw rwl 3fr iiq erf kdc "
    "mrw x3f heic heif hif avif jxl jp2 j2k jpx jxr tif tiff svg psd xcf eps ico tga "
    "exr hdr pbm pgm ppm dcm nii".split()
)


def ask_about_format_pairs(root: Folder, layout: FolderLayout) -> Question | None:
    """Ask about class folders in which most images exist in two formats.

    One of the two is often a mask of the other.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
    """
    files, formats = _find_pairs(class_folders(root, layout))
    if not files:
        return None
    options: list[Option] = []
    refused = sorted(formats & _REFUSED)
    for found in sorted(formats - _REFUSED, key=lambda each: (each not in _READ, each)):
        extension = "jpe?g" if found in _JPEG else found
        pattern = rf"(?P<class>[^/]+)/(?:[^/]+/)*[^/]+\.(?i:{extension})"
        what = f"only .{found} files"
        options += option_of_pattern(root, layout.split_folders, pattern, what)
    finding = (
        f"{counted(len(files), 'file')} of {counted(root.total, 'image')} have the "
        f"name of another file, in another format: {some_of(files)}."
    )
    if refused:
        endings = some_of(f".{each}" for each in refused)
        return Question(
            f"{finding} graft does not read {endings}. Choose the format to read, or "
            "save the images as JPEG or PNG.",
            tuple(options),
        )
    return Question(
        f"{finding} One of two may be the mask of the other, or its copy. A mask is "
        "no photo of the class.",
        (*options, as_option(root, layout)),
    )


def find_format_pairs(classes: Iterable[Folder]) -> list[str]:
    """Return the images of class folders that most exist in two formats."""
    return _find_pairs(classes)[0]


def _find_pairs(classes: Iterable[Folder]) -> tuple[list[str], set[str]]:
    """Return the paths of images of one name in two formats, and the formats."""
    files: list[str] = []
    formats: set[str] = set()
    for top in classes:
        for folder in top.walk():
            pairs = _pairs_in(folder)
            names = [name for pair in pairs for name in pair.values()]
            if len(pairs) >= _FEWEST_PAIRS and len(names) * 2 > len(folder.images):
                files += (f"{folder.path}/{name}" for name in names)
                formats.update(found for pair in pairs for found in pair)
    return files, formats


def _pairs_in(folder: Folder) -> list[dict[str, str]]:
    """Return the files of one name in a folder, by their extension."""
    by_stem: dict[str, dict[str, str]] = defaultdict(dict)
    for name in folder.images:
        stem, extension = os.path.splitext(name)
        form = extension[1:].casefold()
        if form:
            by_stem[stem][_JPEG[0] if form in _JPEG else form] = name
    return [found for found in by_stem.values() if len(found) > 1]
