"""Check the columns of a manifest, and say which ones may be meant."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree
from graft.contract.errors import DataError

_BOX_COLUMNS = re.compile(r"x_?min|x1|bbox\w*|box(es)?|x_?center|roi\.x1|region_\w+")
_ONES = ("1", "1.0", "true", "yes")
FLAGS = (*_ONES, "0", "0.0", "-1", "-1.0", "false", "no")
_NUMBERED_LABEL = re.compile(r"(label|class|tag|category)[_ ]?\d", re.IGNORECASE)
_SEPARATORS = re.compile(r"[,;|:\s]+")

_MOST_COLUMNS = 12

USUAL_COLUMNS = {
    "path_column": (
        "file files filename file_name filepath file_path path image images image_name "
        "imagename image_path image_id img name id "
        # German, French, Spanish, Portuguese, Italian, Dutch, Nordic languages, Polish
        "datei dateiname bild pfad fichier nom_fichier chemin archivo fichero imagen "
        "ruta arquivo imagem caminho immagine percorso bestand bestandsnaam afbeelding "
        "fil filnavn filnamn plik nazwa_pliku obraz "
        # Russian, Chinese, Japanese, Korean
        "файл имя_файла путь изображение 文件 文件名 路径 图片 檔名 圖片 ファイル "
        "ファイル名 画像 パス 파일 파일명 이미지 경로"
    ).split(),
    "label_column": (
        "label labels class classes class_name classname class_id category target "
        "breed species diagnosis dx finding y type "
        "klasse klassen kategorie art diagnose étiquette etiquette classe catégorie "
        "espèce clase etiqueta categoría especie rótulo categoria espécie etichetta "
        "specie klass categorie soort klasa etykieta kategoria gatunek "
        "класс метка категория вид 类别 标签 种类 類別 標籤 ラベル クラス カテゴリ "
        "레이블 라벨 클래스"
    ).split(),
}
"""Names that such columns often have, in small letters."""


def is_box_column(name: str) -> bool:
    """Tell whether a column's name says that it holds boxes of objects."""
    return bool(_BOX_COLUMNS.fullmatch(name.casefold()))


class Flags(NamedTuple):
    """Columns of 0 and 1.

    Attributes:
        names: Their names.
        are_one_hot: Whether each row has one 1, so that a column is a class.
        are_negative: Whether some hold -1, which is no label.
    """

    names: list[str]
    are_one_hot: bool
    are_negative: bool = False


def flag_columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Flags:
    """Return the columns that hold 0 and 1, also as `1.0` or `True`; two or more."""
    flags = [
        position
        for position in range(len(names))
        if rows
        and all(
            "".join(row[position : position + 1]).strip().casefold() in FLAGS
            for row in rows
        )
    ]
    if len(flags) < 2:
        return Flags([], are_one_hot=False)
    ones = {
        sum(row[position].strip().casefold() in _ONES for position in flags)
        for row in rows
    }
    return Flags(
        [names[position] for position in flags],
        are_one_hot=ones == {1},
        are_negative=any(row[p].strip().startswith("-") for row in rows for p in flags),
    )


def require_columns(
    found: Sequence[str],
    where: str,
    config: DataConfig,
    hint: str = "",
    flags: Flags | None = None,
) -> None:
    """Refuse a manifest without the columns of the images' paths and labels.

    Args:
        found: The names of its columns.
        where: The manifest and the line, for a message.
        config: Names the columns.
        hint: A note on the columns, for a message.
        flags: Columns of 0 and 1.

    Raises:
        DataError: One is missing.
    """
    given = {"path_column": config.path_column, "label_column": config.label_column}
    missing = {key: name for key, name in given.items() if name not in found}
    if not missing:
        return
    hints = [
        f" Did you mean {match[0]!r}?"
        for name in missing.values()
        if (match := difflib.get_close_matches(name, found, n=1))
    ]
    usual = [
        f"--set {shlex.quote(f'data.{key}={name}')}"
        for key in missing
        for name in [each for each in found if each.casefold() in USUAL_COLUMNS[key]][
            :1
        ]
    ]
    if len(usual) == len(missing):
        hints = [f" Perhaps {' '.join(usual)}."]
    hints = _hints_about_values(found, missing, flags) or hints
    raise DataError(
        f"{where} lacks {agree(len(missing), 'the column', 'the columns')} "
        f"{some_of(missing.values())}. "
        f"Received: columns {_listed(found)}{hint}.{''.join(hints)} Add them, or name "
        "yours by `path_column` and `label_column`."
    )


def _hints_about_values(
    found: Sequence[str], missing: Mapping[str, str], flags: Flags | None
) -> list[str]:
    """Return what to do with columns that can't be the missing one as they stand."""
    if flags and flags.names and "label_column" in missing:
        if flags.are_one_hot:
            return [
                f" The columns {some_of(flags.names)} are one class each (one-hot): "
                "add a column with the name of the column that holds the 1."
            ]
        mend = (
            "add a column with names by one of these, such as 'no' for -1 and 'yes' "
            "for 1."
            if flags.are_negative
            else "add a column with one class, or name one of these columns, whose "
            "classes are 0 and 1."
        )
        return [
            f" The columns {some_of(flags.names)} are one label each, and an image has "
            f"several or none (multi-hot). graft learns one class per image: {mend}"
        ]
    labels = [name for name in found if _NUMBERED_LABEL.fullmatch(name)]
    if len(labels) > 1 and "label_column" in missing:
        return [
            f" The columns {some_of(labels)} give an image several labels, and graft "
            "learns one: choose one by `label_column`."
        ]
    for name in found:
        if [each for each in _SEPARATORS.split(name) if each][1:] and set(
            _SEPARATORS.split(" ".join(found))
        ) >= set(missing.values()):
            return [
                f" {name!r} seems to be several columns: write one delimiter between "
                "all cells, ',', ';', '|' or a tab."
            ]
    return []


def require_split_column(found: Sequence[str], where: str, config: DataConfig) -> None:
    """Refuse a manifest without the split column that the config names.

    A column of that name in other letters is refused, too: the images of its split
    `test` must not be trained on.
    """
    wanted = config.split_column
    if wanted in found:
        return
    alike = [name for name in found if name.strip().casefold() == wanted.casefold()]
    # A component gets all fields of the config, so that "set by the user" is not known.
    if not alike and wanted == DataConfig.model_fields["split_column"].default:
        return
    near = alike or difflib.get_close_matches(wanted, found, n=1)
    near = near or [name for name in found if name.strip().casefold() == "split"]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"{where} lacks the column {wanted!r}, which `split_column` names. Received: "
        f"columns {_listed(found)}.{hint} Name the column, or leave `split_column` out."
    )


def require_distinct(names: Sequence[str], where: str, config: DataConfig) -> None:
    """Refuse two columns of the same name.

    For the columns that graft reads, case and white space at the ends don't count: it
    would be unclear which column is meant.
    """
    read = {
        name.casefold()
        for name in (config.path_column, config.label_column, config.split_column)
    }
    by_key: dict[str, list[str]] = {}
    for name in filter(None, names):
        folded = name.strip().casefold()
        by_key.setdefault(folded if folded in read else name, []).append(name)
    for same in by_key.values():
        if len(same) > 1:
            raise DataError(
                f"{where}: the columns {some_of(same)} have the same name. Received: "
                f"columns {_listed(names)}. Rename or delete one."
            )


def _listed(names: Sequence[str]) -> str:
    """Return the names of columns for a message, the first ones of many."""
    more = len(names) - _MOST_COLUMNS
    return f"{[*names][:_MOST_COLUMNS]!r}{f' and {more} more' if more > 0 else ''}"
