"""What the names of copies have beside the names of their images: words and sizes."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection, Container, Iterator
from typing import NamedTuple

from graft.components.ingestion.names.folder_names import role_of_any_word

_SIZES = (
    "thumb thumbs thumbnail thumbnails tn small mini tiny lowres highres hires preview "
    "previews resized resize scaled rescaled downscaled upscaled compressed optimized"
)
_MAPS = (
    "depth disparity gradcam heatmap heatmaps saliency overlay overlays edges canny "
    "gray grey grayscale greyscale binarized thresholded clahe equalized filtered "
    "denoised preprocessed processed edited annotated visualization keypoints skeleton "
    "landmarks infrared thermal reconstructed"
)
_CHANGES = (
    "aug augs augm augmented augment augmentation augmentations flip flipped hflip "
    "vflip fliplr flipud mirror mirrored rot rotate rotated rotation shifted zoomed "
    "brightness contrast blur blurred noise noisy jitter sheared sharpened cropped "
    "gauss gaussian mixup cutmix cutout "
    "crop crops copy copies kopie copie copia duplicate dup bak"
)
_CHANGE_WORDS = frozenset(_CHANGES.split())
COPY_WORDS = frozenset(f"{_SIZES} {_MAPS} {_CHANGES}".split())
# Words of copies that names of classes have, too: `cooper_mini`, `car_mirror`.
WORDS_OF_CLASSES = frozenset(
    "small mini tiny mirror skeleton depth noise noisy thermal processed edges crop "
    "crops gray grey".split()
)
# Words of copies that no class has in its name.
TECHNICAL_WORDS = frozenset(
    "thumb thumbs thumbnail thumbnails tn lowres highres hires resized resize rescaled "
    "downscaled upscaled optimized disparity gradcam heatmap heatmaps saliency canny "
    "grayscale greyscale binarized thresholded clahe equalized denoised preprocessed "
    "visualization keypoints aug augs augm augmented augment augmentation "
    "augmentations hflip vflip fliplr flipud rot jitter sheared kopie copia dup "
    "gauss gaussian mixup cutmix cutout "
    "bak".split()
)
_IMAGE_WORDS = frozenset("image images img imgs photo photos pic pics picture".split())
ORIGINAL_WORDS = frozenset("original originals orig rgb color colour full raw".split())

_SEPARATORS = "-_. @(~+"
# Where the name of an image may end, and the word of a copy begin, or the reverse.
CUT = re.compile(
    rf"[{re.escape(_SEPARATORS)}]+|(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)"
    r"|(?<=[a-z])(?=[A-Z])"
)
SEPARATED = re.compile(rf"[{re.escape(_SEPARATORS)}]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PERHAPS_SIZE = re.compile(r"\dx\d|\dpx|px\d|\d\dw|w\d\d", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
COUNTER = re.compile(r"\D*\d+")
# As of WordPress (`1-150x150`), Wikimedia (`120px-1`) and responsive pages (`1-480w`).
SIZE = re.compile(
    r"(?<![^\W_])(?:\d{2,5}x\d{2,5}|\d{2,5}px|px\d{2,5}|\d{3,4}w|w\d{3,4})(?![^\W_])",
    re.IGNORECASE,
)
# How programs name a second copy: macOS `1 2`, Google Photos and Android `1~2`.
_SECOND = re.compile(r" [2-9]|~\d{1,2}")
# iPhones write `IMG_E0001` for the edited `IMG_0001`.
_EDITED = re.compile(r"(?P<start>IMG_)E(?P<number>\d+)", re.IGNORECASE)
# The name of another image, with its extension: `A_1.jpg_1b2c`.
_INNER_NAME = re.compile(
    r".+\.(?:jpe?g|png|gif|bmp|webp|tiff?)(?=[-_. (@~])", re.IGNORECASE
)
_AFTER_INNER_NAME = r"\.(?:jpe?g|png|gif|bmp|webp|tiff?)[-_. (@~][^/]*"
_MOST_KEPT = 4096
_MOST_NAMES_KEPT = 65536
_MOST_VARIABLE = 3


class Mark(NamedTuple):
    """What the names of copies have beside the names of their images.

    Attributes:
        expression: A regular expression. Any number matches any other.
        is_at_end: Whether it follows the image's name, or stands before it.
        is_of_series: Whether it may also tell two series of names apart.
        is_of_program: Whether it is a size, or another mark that programs write.
    """

    expression: str
    is_at_end: bool
    is_of_series: bool = False
    is_of_program: bool = False

    @property
    def words(self) -> frozenset[str]:
        """The words in it, in small letters."""
        return _words_of(self.expression)

    @property
    def is_known(self) -> bool:
        """Whether it says that the image is a copy."""
        return self.is_of_program or not COPY_WORDS.isdisjoint(self.words)

    @property
    def is_of_copies_only(self) -> bool:
        """Whether it says so, and is no part of the name of a class either."""
        return self.is_of_program or not self.words.isdisjoint(
            COPY_WORDS - WORDS_OF_CLASSES
        )

    @property
    def is_of_change(self) -> bool:
        """Whether it names a change of the image, of which there may be several."""
        return not self.words.isdisjoint(_CHANGE_WORDS - WORDS_OF_CLASSES)

    @property
    def is_of_original(self) -> bool:
        """Whether a word says that the image is the original of copies."""
        return not ORIGINAL_WORDS.isdisjoint(self.words)


@functools.lru_cache(_MOST_KEPT)
def _words_of(expression: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", expression.replace(r"\d", "")))


class InnerName(NamedTuple):
    """The name of another image, with its extension, in that of an image.

    Attributes:
        mark: What stands behind it.
        images: The name, as long as it may be, and shorter.
    """

    mark: Mark
    images: list[str]


def inner_name_of(stem: str) -> InnerName | None:
    """Return the name of another image that a name holds, as `A_1.jpg_1b2c` does."""
    match = _INNER_NAME.match(stem) if "." in stem else None
    if match is None:
        return None
    name = match[0]
    shorter = [name[cut.end() :] for cut in CUT.finditer(name) if cut.end()]
    images = [name, *(each for each in shorter if os.path.splitext(each)[1])]
    mark = Mark(_AFTER_INNER_NAME, is_at_end=True, is_of_program=True)
    return InnerName(mark, images)


def parts_of(
    stem: str, class_name: str, images: Container[str] | None = None
) -> Iterator[tuple[Mark, str]]:
    """Yield the ways to see a name as that of a copy: its mark, and its image.

    Args:
        stem: The name, without extension.
        class_name: The class, which is no mark.
        images: The names of the images that count; None for any.
    """
    for cut in _cuts_of(stem):
        image = stem[: cut.start()]
        if image and (images is None or image in images):
            end = stem[cut.start() :]
            mark = _mark_of(end, is_at_end=True, is_apart=bool(cut[0]))
            if mark:
                if mark.is_of_series and _SECOND.fullmatch(end) and do_count([image]):
                    mark = mark._replace(is_of_series=False, is_of_program=True)
                yield mark, image
        image = stem[cut.end() :]
        if image and (images is None or image in images):
            start = stem[: cut.end()]
            if start.strip(_SEPARATORS).casefold() == class_name.casefold():
                continue
            mark = _mark_of(start, is_at_end=False, is_apart=bool(cut[0]))
            if mark and COUNTER.fullmatch(image) and not mark.is_known:
                # As of `web_1.jpg` beside `1.jpg`.
                mark = mark._replace(is_of_series=True)
            if mark:
                yield mark, image
    if stem[:1] in "Ii" and (edited := _EDITED.fullmatch(stem)):
        start = re.escape(edited["start"].casefold())
        mark = Mark(rf"{start}e(?=\d)", is_at_end=False, is_of_program=True)
        yield mark, edited["start"] + edited["number"]


def images_of(stem: str) -> Iterator[tuple[bool, str]]:
    """Yield what `parts_of` may take for an image, and whether its mark is at the end.

    It is much faster, since no mark is made.
    """
    for cut in _cuts_of(stem):
        yield True, stem[: cut.start()]
        yield False, stem[cut.end() :]
    if stem[:1] in "Ii" and (edited := _EDITED.fullmatch(stem)):
        yield False, edited["start"] + edited["number"]


def _cuts_of(stem: str) -> Iterator[re.Match[str]]:
    """Return the places where a name may be cut so that a mark results.

    A mark of unknown words stands behind or before a separator. Hashes hold many other
    places, between letters and digits.
    """
    return (CUT if may_have_known_mark(stem) else SEPARATED).finditer(stem)


@functools.lru_cache(_MOST_NAMES_KEPT)
def may_have_known_mark(stem: str) -> bool:
    """Tell whether a name may hold a word of copies, or a size."""
    for word in _WORD.findall(stem):
        if word.casefold() in COPY_WORDS:
            return True
        for cut in _CAMEL_CASE.finditer(word):
            start, end = word[: cut.start()], word[cut.start() :]
            if not COPY_WORDS.isdisjoint((start.casefold(), end.casefold())):
                return True
    return _PERHAPS_SIZE.search(stem) is not None


def do_count(names: Collection[str]) -> bool:
    """Tell whether most of several names differ by numbers only, as `a1`, `a2` do.

    Words and hashes don't.
    """
    if all(map(COUNTER.fullmatch, names)):
        return True
    same = max(0, max(map(len, names)) - _MOST_VARIABLE)
    if len(names) > 1 and len({name[:same] for name in names}) == 1:
        return True  # such as `fe` to `10a`
    return 2 * len({_NUMBER.sub("0", name) for name in names}) <= len(names)


def _mark_of(text: str, *, is_at_end: bool, is_apart: bool) -> Mark | None:
    """Return the mark of a text beside an image's name, as `_mark_of_any_number`."""
    # Names differ mostly by numbers, so that few marks are kept.
    plain = _NUMBER.sub("0", text.casefold())
    is_size = "0" in plain and SIZE.search(text) is not None
    return _mark_of_any_number(plain, is_at_end, is_apart, is_size)


@functools.lru_cache(_MOST_KEPT)
def _mark_of_any_number(
    text: str, is_at_end: bool, is_apart: bool, is_size: bool
) -> Mark | None:
    """Return the mark of a text beside an image's name; None for a number or a split.

    Args:
        text: The text in small letters; 0 stands for any number.
        is_at_end: Whether the text follows the image's name.
        is_apart: Whether a separator stands between the two.
        is_size: Whether the text is a size.
    """
    expression = r"\d+".join(map(re.escape, text.split("0")))
    mark = Mark(expression, is_at_end, is_of_program=is_size)
    if not (is_apart or mark.is_known):
        return None
    if not mark.words and "(" not in text:  # such as `1_1.jpg` beside `1.jpg`
        return mark._replace(is_of_series=True) if is_at_end else None
    means_images = bool(mark.words) and mark.words <= _IMAGE_WORDS
    return None if means_images or role_of_any_word(text) else mark
