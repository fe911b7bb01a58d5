"""Recognize folder names: split, images or annotations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import NamedTuple

from graft.components.ingestion.names.split_words import (
    ROLE_OF_WORD,
    with_evaluation_as_test,
    without_accents,
)

# A word consists of letters: "TrainImages" is two words, "train2017" is one.
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|[^\W\d_]")
# Words that may stand beside the name of a split.
_NEUTRAL_WORDS = frozenset(
    "a all aug augmented balanced big class classes clean cropped crops csv data "
    "dataset datasets dir directory dl examples file files final fold folder folders "
    "full hq img imgs image images jpeg jpg large lq mini my new old original orig "
    "our part photo photos pic pics picture pictures png private public raw real "
    "resized sample samples seg set sets small split splits stage subset the tiny "
    "unlabeled unlabelled labeled labelled x y v".split()
)

_BOXES = frozenset(
    "images image imgs img jpegimages pngimages photos pictures pics data dataset raw "
    "files samples jpg jpeg png".split()
)
_ANNOTATIONS = frozenset(
    "annotations annotation annots annot ann anns xmls trimaps masks mask labels label "
    "bboxes bbox boxes boundingboxes segmentations segmentation segmentationclass "
    "segmentationobject groundtruth gt imagesets".split()
)
_SHORTEST_END = 4  # `gt` and `ann` end other words, too
_PART_WORDS = re.compile(
    r"(session|batch|part|chunk|fold|images?|imgs?|photos?|pics?|pictures?|data"
    r"|dataset|files?|folder|archive|zip|set|subset|shard)",
    re.IGNORECASE,
)
# A folder with such a name is not a class, if it holds no image.
_SIDE_FOLDERS = _ANNOTATIONS | frozenset(
    "docs doc documentation scripts script code src notebooks notebook models model "
    "weights checkpoints checkpoint ckpt ckpts logs log runs wandb mlruns outputs "
    "output results metadata meta csv json xml lists splits split folds fold "
    "lightninglogs nodemodules venv cvs svn".split()
)

# Names that say when an image was taken, or by what: never what it shows.
_MONTH = (
    "jan(uary|uar)?|feb(ruary|ruar)?|mar(ch)?|märz|apr(il)?|may|mai|june?|juni|july?"
    "|juli|aug(ust)?|sept?(ember)?|o[ck]t(ober)?|nov(ember)?|de[cz](ember)?"
)
_SOURCE = re.compile(
    r"(19|20)\d\d([-_. ]?\d\d){0,2}([-_. t]?\d\d([-_.:]?\d\d){1,2})?"
    r"|(19|20)\d\d-\d\d(-\d\d)?[-_ ]\D.*"  # a day and a place
    rf"|\d{{1,2}}\.? ({_MONTH})\.? (19|20)\d\d"
    rf"|({_MONTH})\.? (\d{{1,2}},? )?(19|20)\d\d"
    r"|.*\bpart \d+ of \d+"
    r"|(export|import|upload|download)[-_. ]?\d+([-_.]\d+)*"
    r"|\d\d[-_. ]\d\d[-_. ](19|20)\d\d"
    r"|\d{3}[a-z_]{5}"  # of cameras, such as 100CANON
    r"|(session|batch|part|chunk|fold|cam|camera|video|vid|clip|seq|sequence|shoot"
    r"|roll|run|take|folder|disc|day)[-_. ]?\d+",
    re.IGNORECASE,
)

# How or where images of any class are taken.
_CONDITIONS = frozenset(
    "day night dawn dusk morning evening noon sunny cloudy rainy foggy snowy rain fog "
    "snow summer winter spring autumn fall indoor indoors outdoor outdoors inside "
    "outside front back rear side left right top bottom above below near far close "
    "closeup bright dark light studio field lab home street web google bing flickr "
    "instagram phone mobile iphone android camera webcam canon nikon sony drone".split()
)

_FOLD = re.compile(
    r"(k?[-_. ]?fold|cv|split|part|batch|chunk|shard|run)[-_. ]?\d+", re.IGNORECASE
)


def role_of(name: str) -> str | None:
    """Return the role in a folder's name, for instance "train" in `seg_train`, or None.

    Other words must be neutral (`training_set`, `my-val`) or numbers (`train2017`). So
    `train_station` has no role.
    """
    roles, others = _words(name)
    if len(roles) == 1 and all(word in _NEUTRAL_WORDS for word in others):
        return roles[0]
    return None


def role_of_any_word(name: str) -> str | None:
    """Return the role in a name with any other words: "train" in `train_labels`."""
    roles, _ = _words(name)
    return roles[0] if len(roles) == 1 else None


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name: `augmented` and `dataset` of `AugmentedDataset`."""
    return frozenset(_all_words(name))


def is_neutral(word: str) -> bool:
    """Tell whether a word in small letters is a split's, or says nothing beside one."""
    return word in ROLE_OF_WORD or word in _NEUTRAL_WORDS - {"unlabeled", "unlabelled"}


def roles_of(names: Collection[str]) -> dict[str, str]:
    """Return the role by folder name. Folders without a role are left out.

    A word in all names counts as neutral: `pets_train` beside `pets_test`. Beside
    `validation`, `evaluation` is the test set.
    """
    roles = roles_of_words(names)
    words = {name: _all_words(name) for name in roles}
    return with_evaluation_as_test(roles, words)


def roles_of_words(names: Collection[str]) -> dict[str, str]:
    """Return the role by folder name as `roles_of`, each by its own words only."""
    words = {name: _words(name) for name in names}
    with_role = [others for roles, others in words.values() if len(roles) == 1]
    shared = set.intersection(*map(set, with_role)) if len(with_role) > 1 else set()
    return {
        name: roles[0]
        for name, (roles, others) in words.items()
        if len(roles) == 1
        and all(word in _NEUTRAL_WORDS or word in shared for word in others)
    }


def are_names_of_splits(names: Collection[str]) -> bool:
    """Tell whether all names are those of splits, and of more than one."""
    roles = roles_of(names)
    return len(roles) == len(names) and len(set(roles.values())) > 1


class SplitAndClass(NamedTuple):
    """A folder's name that holds a split and a class, such as `train_cat`.

    Attributes:
        split: The word that names the split.
        separator: What stands between the two.
        class_name: The rest of the name.
        is_split_first: Whether the split stands before the class.
        end: What stands behind them, such as the bracket of `cat (test)`.
    """

    split: str
    separator: str
    class_name: str
    is_split_first: bool
    end: str = ""


def split_and_class_of(name: str) -> SplitAndClass | None:
    """Return the split and the class in a folder's name, or None without a split."""
    name = unicodedata.normalize("NFC", name)
    words = list(_WORD.finditer(name))
    if len(words) < 2:
        return None
    first, last = words[0], words[-1]
    if first.start() == 0 and _is_role(first[0]):
        rest = name[first.end() :]
        class_name = rest.lstrip("-_. ")
        in_brackets = re.fullmatch(r"\((.+)\)|\[(.+)\]", class_name)
        end = class_name[-1] if in_brackets else ""
        class_name = class_name[1:-1] if in_brackets else class_name
        separator = rest[: len(rest) - len(class_name) - len(end)]
        return SplitAndClass(first[0], separator, class_name, True, end)
    end = name[last.end() :]
    if end in ("", ")", "]") and _is_role(last[0]):
        rest = name[: last.start()]
        class_name = rest.rstrip("-_. " + ("([" if end else ""))
        separator = rest[len(class_name) :]
        return SplitAndClass(last[0], separator, class_name, False, end)
    return None


def is_box(name: str) -> bool:
    """Tell whether a folder's name means images in general, for instance `images`."""
    return _plain(name) in _BOXES


def is_annotation(name: str) -> bool:
    """Tell whether a folder's name means annotations of images; Ann is a person."""
    return _plain(name) in _ANNOTATIONS and name != "Ann"


def is_of_annotations(name: str) -> bool:
    """Tell whether a word in a name means annotations: `train_masks`, `trainannot`."""
    plain = _plain(name)
    return not words_of(name).isdisjoint(_ANNOTATIONS) or any(
        plain.endswith(word) for word in _ANNOTATIONS if len(word) >= _SHORTEST_END
    )


def is_source(name: str) -> bool:
    """Tell whether a folder is called after where its images come from.

    That is a date, a camera's folder, a numbered part (`session2`), a split, or images
    in general.
    """
    return bool(
        _SOURCE.fullmatch(name) or role_of(name) or is_box(name) or is_annotation(name)
    )


def is_condition(name: str) -> bool:
    """Tell whether a folder is called after how its images are taken, as `night` is."""
    return _plain(name) in _CONDITIONS


def is_origin(name: str) -> bool:
    """Tell whether a folder is called after a date, a camera or a numbered part."""
    return bool(_SOURCE.fullmatch(name))


def is_fold(name: str) -> bool:
    """Tell whether a folder is called after a numbered part, such as `fold_0`."""
    return bool(_FOLD.fullmatch(name))


def are_shards(names: Collection[str]) -> bool:
    """Tell whether folders are called after the start of a hash: `0` to `f`, `00`...

    Most of the possible names must be there.
    """
    digits = set(map(str.casefold, names))
    return any(
        all(re.fullmatch(f"[0-9a-f]{{{length}}}", name) for name in digits)
        and len(digits) * 2 > 16**length
        and any(name.isalpha() for name in digits)
        for length in (1, 2)
    )


def stem_of_part(name: str) -> str:
    """Return a folder's name without its number or letter: `images_` of `images_001`.

    Folders of one set that was packed in parts have the same one. It is empty for a
    number alone.
    """
    stem = re.sub(r"(\d+|(?<=[-_. ])[A-Za-z])$", "", name).casefold()
    return stem if stem != name.casefold() else ""


def is_part(name: str) -> bool:
    """Tell whether a numbered folder's name means a part of a data set."""
    words = [word for word in re.split(r"[\W\d_]+", name) if word]
    return any(_PART_WORDS.fullmatch(word) for word in words)


def is_side_folder(name: str) -> bool:
    """Tell whether a folder with this name and without images is not a class."""
    return _plain(name) in _SIDE_FOLDERS


def _plain(name: str) -> str:
    return re.sub(r"[\W\d_]+", "", name).casefold()


def _is_role(word: str) -> bool:
    return without_accents(word).casefold() in ROLE_OF_WORD


def _words(name: str) -> tuple[list[str], list[str]]:
    """Return the roles in a name, and its other words."""
    words = _all_words(name)
    roles = [ROLE_OF_WORD[word] for word in words if word in ROLE_OF_WORD]
    return roles, [word for word in words if word not in ROLE_OF_WORD]


def _all_words(name: str) -> list[str]:
    plain = without_accents(name)
    plain = re.sub(r"(?i)hold[-_ ]?out|held[-_ ]?out", "holdout", plain)
    return [word.casefold() for word in _WORD.findall(plain)]
