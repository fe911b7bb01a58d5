"""Recognize the names of folders that people and programs put beside class folders.

How sure a name is differs: no class is called `wandb`, and `raw` is one beside `ripe`.
"""

from __future__ import annotations

import enum
import re

from graft.components.ingestion.split_words import without_accents


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
    "misclassifications confusionmatrix confusionmatrices ipynbcheckpoints"
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
    "media demo preview"
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


def stray_name_of(name: str) -> StrayName | None:
    """Return how sure a folder's name says that it is no class, or None."""
    return _NAMES.get(_letters_of(name))
