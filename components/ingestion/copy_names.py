"""Find images that are copies of others by their names, such as `1_thumb.jpg`."""

from __future__ import annotations

import functools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.folder_names import role_of_any_word

_SIZES = (
    "thumb thumbs thumbnail thumbnails tn small mini tiny lowres highres hires preview "
    "previews resized resize scaled rescaled downscaled upscaled compressed optimized"
)
_MAPS = (
    "depth disparity gradcam heatmap heatmaps saliency overlay overlays edges canny "
    "grayscale greyscale binarized thresholded clahe equalized filtered denoised "
    "preprocessed processed edited annotated visualization keypoints skeleton "
    "landmarks infrared thermal reconstructed"
)
_CHANGES = (
    "aug augs augm augmented augment augmentation augmentations flip flipped hflip "
    "vflip fliplr flipud mirror mirrored rot rotate rotated rotation shifted zoomed "
    "brightness contrast blur blurred noise noisy jitter sheared sharpened cropped "
    "copy copies kopie copie copia duplicate dup bak"
)
_COPY_WORDS = frozenset(f"{_SIZES} {_MAPS} {_CHANGES}".split())
# Words of copies that names of classes have, too: `cooper_mini`, `car_mirror`.
_WORDS_OF_CLASSES = frozenset(
    "small mini tiny mirror skeleton depth noise noisy thermal processed edges".split()
)
_IMAGE_WORDS = frozenset("image images img imgs photo photos pic pics picture".split())
_ORIGINAL_WORDS = frozenset("original originals orig rgb color colour full raw".split())

_SEPARATORS = "-_. @(~+"
# Where the name of an image may end, and the word of a copy begin, or the reverse.
_CUT = re.compile(
    rf"[{re.escape(_SEPARATORS)}]+|(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)"
    r"|(?<=[a-z])(?=[A-Z])"
)
_ORIGINAL = re.compile(
    rf"(?P<image>.+?)[-_. ]+(?:{'|'.join(sorted(_ORIGINAL_WORDS))})", re.IGNORECASE
)
_NUMBER = re.compile(r"\d+")
_COUNTER = re.compile(r"\D*\d+")
# Roboflow writes each copy of `1.jpg` as `1_jpg.rf.` and a hash.
_ROBOFLOW = re.compile(r"(?P<image>.+)_[a-z]{3,4}\.rf\.[0-9a-f]{16,}", re.IGNORECASE)
_FEWEST_OF_KNOWN_WORD = 2
_FEWEST_OF_OTHER_WORD = 3
_SHARE_OF_KNOWN_WORD = 0.1
_SHARE_OF_OTHER_WORD = 0.25
_SHARE_OF_FOLDER = 0.5
_MOST_OF_OTHER_WORD = 3
_FEWEST_OF_SERIES = 5
_MOST_KEPT = 4096
_SHARE_OF_SERIES = 0.9


class Mark(NamedTuple):
    """What the names of copies have beside the names of their images.

    Attributes:
        expression: A regular expression. Any number matches any other.
        is_at_end: Whether it follows the image's name, or stands before it.
        is_of_series: Whether it may also tell two series of names apart.
    """

    expression: str
    is_at_end: bool
    is_of_series: bool = False

    @property
    def words(self) -> frozenset[str]:
        """The words in it, in small letters."""
        return _words_of(self.expression)

    @property
    def has_known_word(self) -> bool:
        """Whether a word says that the image is a copy."""
        return not _COPY_WORDS.isdisjoint(self.words)


@functools.lru_cache(_MOST_KEPT)
def _words_of(expression: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", expression.replace(r"\d", "")))


class _Pair(NamedTuple):
    """Paths of a file, and of the image that it may be a copy of."""

    file: str
    image: str


class Copies(NamedTuple):
    """Files that seem to be copies of others.

    Attributes:
        files: Their paths.
        marks: What their names have in common.
        folders: Names of folders of copies in class folders.
        tops: Names of class folders of copies.
        few: Paths of files that may be copies, but are too few to ask about.
        alike: Paths of copies of the same image, which itself is missing.
    """

    files: list[str]
    marks: set[Mark]
    folders: set[str]
    tops: set[str]
    few: list[str]
    alike: list[str]


def find_copies(classes: Iterable[Folder]) -> Copies:
    """Find copies in class folders, by names that are another name and a mark.

    Args:
        classes: The class folders.
    """
    copies = Copies([], set(), set(), set(), [], [])
    classes = [*classes]
    copies.tops.update(top.name for top in _tops_of_copies(classes))
    pools = _images_of_split_classes(classes)
    pairs: dict[Mark, list[_Pair]] = defaultdict(list)
    totals: dict[Mark, int] = defaultdict(int)
    for top in classes:
        if top.name in copies.tops:
            copies.files.extend(_paths_in(top))
            continue
        for folder in top.walk():
            if folder is not top and _is_folder_of_copies(top, folder):
                copies.folders.add(folder.name)
                copies.files.extend(_paths_in(folder))
            elif folder.images:
                found, alike = _pairs_in(folder, top.name, pools)
                for mark, of_mark in found.items():
                    pairs[mark] += of_mark
                    totals[mark] += len(folder.images)
                copies.alike.extend(alike)
    files: dict[str, None] = {}
    few: dict[str, None] = {}
    for mark, of_mark in pairs.items():
        if _is_systematic(mark, of_mark, totals[mark]):
            copies.marks.add(mark)
            files |= dict.fromkeys(pair.file for pair in of_mark)
        elif mark.has_known_word or _may_be_series(mark, of_mark, totals[mark]):
            few |= dict.fromkeys(pair.file for pair in of_mark)
    copies.files.extend(files)
    copies.few.extend(few)
    return copies


def are_of_originals(mark: Mark) -> bool:
    """Tell whether a mark says that the files with it are the originals."""
    return mark.is_at_end and not _ORIGINAL_WORDS.isdisjoint(mark.words)


def is_named_after_copies(name: str) -> bool:
    """Tell whether a folder's name says that its images are copies, or originals."""
    words = set(re.findall(r"[^\W\d_]+", name.casefold()))
    return not (_COPY_WORDS | _ORIGINAL_WORDS).isdisjoint(words)


def _is_systematic(mark: Mark, pairs: list[_Pair], total: int) -> bool:
    """Tell whether a mark is that of copies, and of no series of names."""
    if mark.is_of_series:
        return False
    images = len({pair.image for pair in pairs})
    if not mark.has_known_word and len(pairs) > _MOST_OF_OTHER_WORD * images:
        return False  # a series: `cat (1)` to `cat (9)` beside `cat`
    if mark.has_known_word:
        share, fewest = _SHARE_OF_KNOWN_WORD, _FEWEST_OF_KNOWN_WORD
    else:
        share, fewest = _SHARE_OF_OTHER_WORD, _FEWEST_OF_OTHER_WORD
    return images >= fewest and len(pairs) >= share * total


def _may_be_series(mark: Mark, pairs: list[_Pair], total: int) -> bool:
    """Tell whether almost all other images have a copy by a mark of series.

    Their names may be two series of numbers, too.
    """
    images = {pair.image for pair in pairs}
    others = total - len(pairs)
    fewest = max(_FEWEST_OF_SERIES, _SHARE_OF_SERIES * others)
    return mark.is_of_series and len(images) >= fewest


def _images_of_split_classes(classes: list[Folder]) -> dict[str, set[str]]:
    """Return the names of images of the classes that are in several splits."""
    splits: dict[str, list[Folder]] = defaultdict(list)
    for top in classes:
        splits[top.name].append(top)
    return {
        name: {
            stem
            for top in tops
            for folder in top.walk()
            for image in folder.images
            # Each split may count from 1.
            if not (stem := os.path.splitext(image)[0]).isdigit()
        }
        for name, tops in splits.items()
        if len(tops) > 1
    }


def _pairs_in(
    folder: Folder, class_name: str, pools: Mapping[str, set[str]]
) -> tuple[dict[Mark, list[_Pair]], list[str]]:
    """Return the copies in a folder by their mark, and those without an original."""
    stems = {os.path.splitext(name)[0] for name in folder.images}
    images = stems.union(folder.images)
    originals = {
        match["image"] for stem in stems if (match := _ORIGINAL.fullmatch(stem))
    }
    found: dict[Mark, list[_Pair]] = defaultdict(list)
    orphans: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in folder.images:
        stem = os.path.splitext(name)[0]
        path = f"{folder.path}/{name}"
        for mark, image in _parts_of(stem, class_name):
            if image in images or (
                mark.has_known_word
                and (image in originals or image in pools.get(class_name, ()))
            ):
                found[mark].append(_Pair(path, f"{folder.path}/{image}"))
            elif mark.has_known_word and mark.is_at_end:
                orphans[image, mark.expression].append(path)
        if match := _ROBOFLOW.fullmatch(stem):
            orphans[match["image"], "rf"].append(path)
    alike = [path for paths in orphans.values() if len(paths) > 1 for path in paths]
    is_most = len(alike) >= _SHARE_OF_OTHER_WORD * len(folder.images)
    return found, alike if is_most else []


def _parts_of(stem: str, class_name: str) -> Iterator[tuple[Mark, str]]:
    """Yield the ways to see a name as that of a copy: its mark, and its image."""
    for cut in _CUT.finditer(stem):
        image, end = stem[: cut.start()], stem[cut.start() :]
        mark = _mark_of(end, is_at_end=True, is_apart=bool(cut[0]))
        # Of `cat.jpg`, `cat_1.jpg` is the next, and of `1.jpg` often a copy.
        if image and mark and (not mark.is_of_series or _COUNTER.fullmatch(image)):
            yield mark, image
        start, image = stem[: cut.end()], stem[cut.end() :]
        if image and start.strip(_SEPARATORS).casefold() != class_name.casefold():
            mark = _mark_of(start, is_at_end=False, is_apart=bool(cut[0]))
            if mark and _COUNTER.fullmatch(image) and not mark.has_known_word:
                # As of `web_1.jpg` beside `1.jpg`.
                mark = mark._replace(is_of_series=True)
            if mark:
                yield mark, image


def _mark_of(text: str, *, is_at_end: bool, is_apart: bool) -> Mark | None:
    """Return the mark of a text beside an image's name, as `_mark_of_any_number`."""
    # Names differ mostly by numbers, so that few marks are kept.
    plain = _NUMBER.sub("0", text.casefold())
    return _mark_of_any_number(plain, is_at_end, is_apart)


@functools.lru_cache(_MOST_KEPT)
def _mark_of_any_number(text: str, is_at_end: bool, is_apart: bool) -> Mark | None:
    """Return the mark of a text beside an image's name; None for a number or a split.

    Args:
        text: The text in small letters; 0 stands for any number.
        is_at_end: Whether the text follows the image's name.
        is_apart: Whether a separator stands between the two.
    """
    mark = Mark(r"\d+".join(map(re.escape, text.split("0"))), is_at_end)
    if not (is_apart or mark.has_known_word):
        return None
    if not mark.words and "(" not in text:  # such as `1_1.jpg` beside `1.jpg`
        return mark._replace(is_of_series=True) if is_at_end else None
    means_images = bool(mark.words) and mark.words <= _IMAGE_WORDS
    return None if means_images or role_of_any_word(text) else mark


def _is_folder_of_copies(top: Folder, folder: Folder) -> bool:
    """Tell whether a folder such as `cat/thumbs` holds copies of the class's images."""
    words = set(re.findall(r"[^\W\d_]+", folder.name.casefold()))
    if not folder.total or _COPY_WORDS.isdisjoint(words):
        return False
    others = {
        os.path.splitext(name)[0]
        for each in top.walk()
        if not f"{each.path}/".startswith(f"{folder.path}/")
        for name in each.images
    }
    return _are_named_after(folder, others)


def _tops_of_copies(classes: list[Folder]) -> Iterator[Folder]:
    """Yield the class folders such as `cat_aug` beside `cat`, with the same images."""
    by_path = {top.path: top for top in classes}
    for top in classes:
        above, slash, name = top.path.rpartition("/")
        for mark, base in _parts_of(name, ""):
            original = by_path.get(f"{above}{slash}{base}")
            if mark.has_known_word and original:
                stems = {
                    os.path.splitext(p)[0] for f in original.walk() for p in f.images
                }
                if mark.words & _COPY_WORDS <= _WORDS_OF_CLASSES:
                    # Each class may count its images from 1.
                    stems = {stem for stem in stems if not _COUNTER.fullmatch(stem)}
                if _are_named_after(top, stems):
                    yield top
                    break


def _are_named_after(folder: Folder, stems: set[str]) -> bool:
    """Tell whether most images of a folder are called as others, or begin so."""
    names = [
        os.path.splitext(name)[0] for each in folder.walk() for name in each.images
    ]
    found = sum(
        name in stems
        or any(
            name[: cut.start()] in stems or name[cut.end() :] in stems
            for cut in _CUT.finditer(name)
        )
        for name in names
    )
    return found >= _SHARE_OF_FOLDER * len(names)


def _paths_in(top: Folder) -> Iterator[str]:
    for folder in top.walk():
        yield from (f"{folder.path}/{name}" for name in folder.images)
