"""Recognize the names of folders that people and programs put beside class folders.

How sure a name is differs: no class is called `wandb`, and `raw` is one beside `ripe`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection

from graft.components.ingestion.names.folder_names import is_neutral, words_of
from graft.components.ingestion.names.split_words import without_accents


class StrayName(enum.Enum):
    """How sure a folder's name says that it is no class."""

    CERTAIN = "no class is called so"
    LIKELY = "a class is called so now and then, as in `photos` and `paintings`"
    POSSIBLE = "classes are called so, as in `raw`, `ripe` and `rotten`"


# Images in general, images without a class, and what tools write.
_CERTAIN = (
    "images imgs img jpegimages pngimages pictures pics dataset datasets "
    "unlabeled unlabelled unsorted unlabeledimages augmented augmentation "
    "augmentations thumbnails thumbnail thumbs pred preds prediction predictions "
    "output outputs result results backup backups tmp nodemodules sitepackages venv "
    "virtualenv wandb mlruns mlartifacts lightninglogs dvclive tensorboard tblogs "
    "checkpoints checkpoint ckpts ckpt gradcam gradcams misclassified "
    "misclassifications confusionmatrix confusionmatrices ipynbcheckpoints submission "
    "submissions"
)
_LIKELY = (
    "photos data files samples temp jpg jpeg png logs log runs docs doc "
    "documentation plots notebooks scripts src cache caches screenshots "
    "assets debug app frontend backend visualization "
    "visualizations visualisations vis metrics resources demos examples "
    "previews duplicates cropped crops resized copies aug augs experiments "
    "saliency heatmaps "
    # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Russian
    "bilder fotos ergebnisse ausgabe resultats sorties imagenes resultados salida "
    "imagens saida immagini risultati afbeeldingen resultaten obrazy wyniki "
    "изображения картинки результаты "
    # Chinese, Japanese, Korean
    "图片 图像 圖片 结果 結果 画像 写真 출력 이미지 사진 결과"
)
_POSSIBLE = (
    "raw image picture pic sample example file figure figures chart charts plot "
    "model models code script document documents run "
    "originals original processed archive old photo screenshot notebook weights static "
    "media demo preview errors error failed failures failure misc miscellaneous rest "
    "todo skipped rejected discarded excluded "
    # What people still have to look at, or have put aside
    "sort tosort check tocheck review toreview needsreview label tolabel annotate "
    "toannotate inbox incoming staging newimages queue later skip ignore ignored "
    "remove removed delete deleted discard exclude quarantine rejects corrupt broken "
    "brokenfiles mislabeled mislabelled falsepositives falsenegatives hardexamples "
    "unclear ambiguous maybe dups spare leftover leftovers input predict inference "
    "upload uploads downloads dcim everything unsortiert sonstiges atrier papelera "
    "未分类 待标注 削除"
)
# Words of programs that are things, too: beside other things, one of them is a class.
_THINGS = frozenset("log logs plot plots notebooks cache caches crops scripts".split())
_PARTS_OF_DOCUMENTS = frozenset(
    "image images picture pictures figure figures table tables text texts title titles "
    "caption captions chart charts formula formulas equation equations header headers "
    "footer footers list lists paragraph paragraphs".split()
)
_PROGRAM_WORDS = frozenset(
    "loss losses acc accuracy f1 roc auc pr precision recall confusion matrix lr curve "
    "curves epoch history metrics histogram".split()
)
_NEGATIONS = frozenset(
    "no non not without un kein keine ohne nicht sans pas sin sem senza zonder bez без "
    "нет 无 非".split()
)
_NEW_FOLDERS = (
    "new folder",
    "untitled folder",
    "untitled",
    "neuer ordner",
    "unbenannter ordner",
    "nouveau dossier",
    "dossier sans titre",
    "nueva carpeta",
    "carpeta sin titulo",
    "nova pasta",
    "nuova cartella",
    "cartella senza titolo",
    "nieuwe map",
    "nowy folder",
    "ny mapp",
    "ny mappe",
    "uusi kansio",
    "yeni klasor",
    "folder baru",
    "thu muc moi",
    "новая папка",
    "新建文件夹",
    "新增資料夾",
    "新しいフォルダー",
    "새 폴더",
)


def _letters_of(name: str) -> str:
    return re.sub(r"[\W\d_]+", "", without_accents(name).casefold())


_NAMES = {
    **{_letters_of(word): StrayName.POSSIBLE for word in _POSSIBLE.split()},
    **{_letters_of(word): StrayName.LIKELY for word in _LIKELY.split()},
    **{_letters_of(word): StrayName.CERTAIN for word in _CERTAIN.split()},
    **{_letters_of(name): StrayName.CERTAIN for name in _NEW_FOLDERS},
}
# Beside one of these, another word may be a class: `fire_images`.
_OF_IMAGES = frozenset(
    "images imgs img pictures pics dataset datasets data image photos files".split()
)
# Beside any other word: `unlabelled_pool`.
_WITHOUT_LABEL = frozenset("unlabeled unlabelled unannotated unsorted".split())
_OF_PROGRAMS = (StrayName.CERTAIN, StrayName.LIKELY)


def stray_name_of(name: str) -> StrayName | None:
    """Return how sure a folder's name says that it is no class, or None.

    Of several words, as in `evaluation_results`, one must be certain, and all others
    must say nothing.
    """
    found = _NAMES.get(_letters_of(name))
    if not words_of(name).isdisjoint(_WITHOUT_LABEL):
        return StrayName.CERTAIN
    words = words_of(name) - _OF_IMAGES
    # A letter, as in `result_1x`, may be what the class is.
    grades = {_NAMES.get(w) for w in words if len(w) == 1 or not is_neutral(w)}
    if found is None and StrayName.CERTAIN in grades and None not in grades:
        return StrayName.CERTAIN
    return found


def is_thing_among_things(name: str, others: Collection[str]) -> bool:
    """Tell whether a word of programs may be a class, as `logs` beside `planks`.

    Half of the others must be in the plural, if it is, and none a word of programs. Or
    all are parts of documents.

    Args:
        name: The folder's name.
        others: The names of the folders beside it.
    """
    word, beside = _letters_of(name), [_letters_of(other) for other in others]
    if word in _PARTS_OF_DOCUMENTS:
        return _PARTS_OF_DOCUMENTS.issuperset(beside)
    if word not in _THINGS or any(
        _NAMES.get(other) in _OF_PROGRAMS for other in beside
    ):
        return False
    alike = sum(_is_plural(other) == _is_plural(word) for other in beside)
    return alike * 2 >= len(beside)


def is_negated(name: str, others: Collection[str]) -> bool:
    """Tell whether another name denies this one: `checkpoint`, `no_checkpoint`.

    Then it is what the classes are about.
    """
    words = words_of(name)
    return any(
        words < words_of(other) and words_of(other) - words <= _NEGATIONS
        for other in others
    )


def is_called_by_program(stem: str) -> bool:
    """Tell whether an image's name is that of a chart, such as `loss_curve`."""
    words = re.findall(r"[^\W_]+", stem.casefold())
    return not _PROGRAM_WORDS.isdisjoint(words)


def _is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is"))
