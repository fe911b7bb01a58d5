"""Trees with more than one meaning are asked about, and each option reads the tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

# Of a tree: its files ("#" are the numbers 1 to 6), and what options read: the number
# of images by class, or by class and split.
LEVELS = {
    "sources beside a class": (
        "{kitchen,garden}/{cat,dog}/#.jpg bird/#.jpg",
        "kitchen 12 garden 12 bird 6",
        "cat 12 dog 12 bird 6",
    ),
    "sources beside a class, in splits": (
        "{train,test}/{kitchen,garden}/{cat,dog}/#.jpg {train,test}/bird/#.jpg",
        "kitchen 24 garden 24 bird 12",
        "cat 24 dog 24 bird 12",
    ),
    "sessions beside a class": (
        "{session1,session2}/{cat,dog}/#.jpg bird/#.jpg",
        "session1 12 session2 12 bird 6",
        "cat 12 dog 12 bird 6",
    ),
    "dates beside two classes": (
        "2024-01-0{1,2}/{cat,dog}/#.jpg {bird,fish}/#.jpg",
        "2024-01-01 12 2024-01-02 12 bird 6 fish 6",
        "cat 12 dog 12 bird 6 fish 6",
    ),
    "places, a class with a source": (
        "{kitchen,garden}/{cat,dog}/#.jpg bird/#.jpg bird/web/#.jpg",
        "kitchen 12 garden 12 bird 12",
        "cat 12 dog 12 bird 6 web 6",
    ),
    "places with a few images beside their folders": (
        "{porch,attic}/{mouse,rat}/#.jpg {porch,attic}/2{1,2,3}.jpg",
        "porch 15 attic 15",
        "mouse 12 rat 12",
    ),
    "places with a few images beside their folders, beside a class": (
        "{porch,attic}/{mouse,rat}/#.jpg {porch,attic}/2{1,2,3}.jpg owl/#.jpg",
        "porch 15 attic 15 owl 6",
        "mouse 12 rat 12 owl 6",
    ),
    "places with a few images beside their folders, in splits": (
        "{train,test}/{porch,attic}/{mouse,rat}/#.jpg {train,test}/porch/2{1,2}.jpg",
        "porch 28 attic 24",
        "mouse 24 rat 24",
    ),
    "kinds with an image beside their folders": (
        "animals/{cat,dog}/#.jpg things/{cup,pen}/#.jpg animals/cover.jpg",
        "animals 13 things 12",
        "cat 6 dog 6 cup 6 pen 6",
    ),
    "places that share one class": (
        "kitchen/{cat,dog}/#.jpg garden/{cat,hen}/#.jpg",
        "kitchen 12 garden 12",
        "cat 12 dog 6 hen 6",
    ),
    "places, one of them with other classes": (
        "{kitchen,garden}/{cat,dog}/#.jpg shed/hen/#.jpg bird/#.jpg",
        "kitchen 12 garden 12 shed 6 bird 6",
        "cat 12 dog 12 hen 6 bird 6",
    ),
    "Küche und Garten": (
        "{Küche,Garten}/{Katze,Hund}/#.jpg Vogel/#.jpg",
        "Küche 12 Garten 12 Vogel 6",
        "Katze 12 Hund 12 Vogel 6",
    ),
    "splits in classes beside a class": (
        "{cat,dog}/{train,test}/#.jpg bird/#.jpg",
        "cat 12 dog 12 bird 6",
        "cat train 6 cat test 6 dog train 6 dog test 6 bird train 6",
    ),
    "unseen beside the classes that it holds": (
        "{cat,dog}/#.jpg unseen/{cat,dog}/#.jpg",
        "cat 6 dog 6 unseen 12",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "collaudo beside the classes that it holds": (
        "{cat,dog}/#.jpg collaudo/{cat,dog}/#.jpg",
        "cat 6 dog 6 collaudo 12",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "prova_2 beside the classes that it holds": (
        "{cat,dog}/#.jpg prova_2/{cat,dog}/#.jpg",
        "cat 6 dog 6 prova_2 12",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "splits in classes beside images": (
        "{cat,dog}/{train,test}/#.jpg {cat,dog}/2#.jpg",
        "cat 18 dog 18",
        "cat train 12 cat test 6 dog train 12 dog test 6",
    ),
    "one split in classes, other words and a source": (
        "{cat,dog}/holdout_set/#.jpg {cat,dog}/2#.jpg cat/web/#.jpg",
        "cat 18 dog 12",
        "cat train 12 cat test 6 dog train 6 dog test 6",
    ),
    "splits below a folder of each class": (
        "{cat,dog}/images/{train,test}/#.jpg",
        "cat 12 dog 12",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "splits in one class only": (
        "cat/{Train,Prueba}/#.jpg cat/2#.jpg dog/#.jpg",
        "cat 18 dog 6",
        "cat train 12 cat test 6 dog train 6",
    ),
    "splits named after their class": (
        "cat/{cat_train,cat_test}/#.jpg dog/{dog_train,dog_test}/#.jpg",
        "cat 12 dog 12",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "splits in the folders A and B": (
        "{A,B}/{train,test}/#.jpg",
        "A 12 B 12",
        "A train 6 A test 6 B train 6 B test 6",
    ),
    "splits in classes, images beside them in one": (
        "{cat,dog}/{train,test}/#.jpg cat/2#.jpg",
        "cat 18 dog 12",
        "cat train 12 cat test 6 dog train 6 dog test 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "tops", "lowest"), LEVELS.values(), ids=LEVELS)
def test_two_levels_that_may_be_the_classes(
    trees: Any, files: str, tops: str, lowest: str
) -> None:
    trees.require(trees.make(files), tops, lowest)


EVALUATIONS = [
    ("training", "validation", "evaluation"),
    ("train", "val", "eval"),
    ("train", "dev", "eval"),
    ("Training_Set", "Valid_Set", "Eval_Set"),
    ("pets_train", "pets_val", "pets_eval"),
    ("entraînement", "validation", "évaluation"),
    ("treino", "validação", "avaliação"),
    ("训练集", "验证集", "评估"),
]


@pytest.mark.parametrize("names", EVALUATIONS, ids=" ".join)
def test_evaluation_beside_validation_is_the_test_set(
    trees: Any, names: tuple[str, ...]
) -> None:
    root = trees.make(f"{{{','.join(names)}}}/{{cat,dog}}/#.jpg")
    (line, first), *_ = trees.options(root)
    assert trees.counts(first, with_splits=True) == {
        f"{name} {split}": 6
        for name in ("cat", "dog")
        for split in ("train", "eval", "test")
    }, line


def test_evaluation_without_validation_is_the_validation_set(
    trees: Any,
) -> None:
    root = trees.make("{train,evaluation,test}/{cat,dog}/#.jpg")
    counts = trees.counts(DataConfig(path=str(root)), with_splits=True)
    assert counts["cat eval"] == counts["cat test"] == 6


# Of a tree: its files, and what the first option reads.
FIRST = {
    "some images moved to test": (
        "{cat,dog}/#.jpg test/{cat,dog}/#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "some images moved to test_data": (
        "{cat,dog,hen}/#.jpg test_data/{cat,dog}/#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6 hen train 6",
    ),
    "validation beside classes": (
        "{cat,dog}/#.jpg validation/{cat,dog}/#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "validation and test beside classes": (
        "{cat,dog}/#.jpg {validation,test}/{cat,dog}/#.jpg",
        "cat train 6 cat eval 6 cat test 6 dog train 6 dog eval 6 dog test 6",
    ),
    "validation and evaluation beside classes": (
        "{cat,dog}/#.jpg {validation,evaluation}/{cat,dog}/#.jpg",
        "cat train 6 cat eval 6 cat test 6 dog train 6 dog eval 6 dog test 6",
    ),
    "Prüfung neben Klassen": (
        "{Katze,Hund}/#.jpg Prüfung/{Katze,Hund}/#.jpg",
        "Katze train 6 Katze test 6 Hund train 6 Hund test 6",
    ),
    "a split with sources beside classes": (
        "{cat,dog}/web/#.jpg test/{cat,dog}/web/#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "split, class, number": (
        "{train,test,val}_{cat,dog}_#.jpg",
        "cat train 6 cat eval 6 cat test 6 dog train 6 dog eval 6 dog test 6",
    ),
    "split-class-number": (
        "{Train,Test}-{cat,dog}-#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "class, split, number": (
        "{cat,great_dane}_{train,test}_#.jpg",
        "cat train 6 cat test 6 great_dane train 6 great_dane test 6",
    ),
    "class, number, split": (
        "{cat,dog}_#_{train,test}.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "split, class, number in a folder": (
        "images/{train,valid}_{cat,dog}.#.png",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "chat, partie, numéro": (
        "{chat,chien}_{entraînement,test}_#.jpg",
        "chat train 6 chat test 6 chien train 6 chien test 6",
    ),
    "classes in the names of split folders": (
        "{train,test}/{cat,dog}_#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "classes in the names, a folder deeper": (
        "{train,val,test}/images/{cat,dog}.#.jpg",
        "cat train 6 cat eval 6 cat test 6 dog train 6 dog eval 6 dog test 6",
    ),
    "classes in the names of split folders in a folder": (
        "pets/{seg_train,seg_test}/{cat,dog}#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
    "Food-11, flat": (
        "{training,validation,evaluation}/{0,1}_#.jpg",
        "0 train 6 0 eval 6 0 test 6 1 train 6 1 eval 6 1 test 6",
    ),
    "classes in the names, test without labels": (
        "{train,val}/{cat,dog}_#.jpg test/#.jpg",
        "cat train 6 cat test 6 dog train 6 dog test 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "wanted"), FIRST.values(), ids=FIRST)
def test_the_first_option_is_the_likely_one(
    trees: Any, files: str, wanted: str
) -> None:
    root = trees.make(files)
    (line, config), *_ = trees.options(root)
    is_split = any(" " in name for name in trees.wanted(wanted))
    assert trees.counts(config, is_split) == trees.wanted(wanted), line
    trees.require(root)


STRAYS = [
    "logs/{loss,acc,conf}.png", "docs/{ui,flow,db}.png", "notebooks/{a,b,c}.png",
    "checkpoints/#.png", "plots/#.jpg", "figures/{fig_a,fig_b}.png", "gradcam/#.jpg",
    "misclassified/#.jpg", "cache/{ab12,cd34}.jpg", "thumbs/{1,2,3}.jpg",
    "previews/{1,2,3}.jpg", "duplicates/{1,2,3}.jpg", "cropped/#.jpg",
    "wandb/run-1/files/media/images/{a,b,c}.png", "runs/exp1/#.jpg",
    "lightning_logs/v0/#.png", "venv/lib/x/images/{china,flower,x}.jpg",
    "mlruns/0/abc/artifacts/{roc,pr}.png", "confusion_matrix/{a,b}.png",
    "screenshots/{1,2,3}.png", "assets/{logo,icon}.png", "New~Folder/#.jpg",
    "untitled~folder~2/#.jpg", "Neuer~Ordner~(2)/#.jpg", "新建文件夹/#.jpg",
    "evaluation_results/{x,y}.png", "wandb_media/#.png", "unlabeled_data/#.jpg",
    "Ergebnisse/#.png", "resultados/#.jpg", "Bilder/#.jpg", "raw/{x,y}/#.jpg",
    "data/{DSC_1,DSC_2}.jpg", "tmp/#.jpg", "aug/#.jpg", "node_modules/a/{b,c}.png",
]  # fmt: skip


@pytest.mark.parametrize("above", ["", "{train,test}/"])
@pytest.mark.parametrize("stray", STRAYS)
def test_folders_of_programs_beside_classes(trees: Any, stray: str, above: str) -> None:
    root = trees.make(f"{above}{{cat,dog}}/#.jpg {above}{stray}")
    number = 12 if above else 6
    (line, config), *_ = trees.options(root)
    assert trees.counts(config) == {"cat": number, "dog": number}, line
    trees.require(root)


REPEATED = [
    "cat/a#.jpg dog/b#.jpg {above}all/a#.jpg {above}all/b#.jpg",
    "cat/a#.jpg dog/b#.jpg {above}all_images/{a,b}#.png",
    "{cat,dog}/#.jpg {above}everything/{cat,dog}_#.jpg",
    "{cat,dog}/#.jpg {above}mixed/{cat,dog}-#.jpg",
    "cat/a#.jpg dog/b#.jpg {above}falsch/{a1,b1,b2}.jpg",
    "cat/{ann,bob,eve,kim}.jpg dog/{u,v,w}.jpg {above}beste/{ann,bob,eve}.jpg",
]


@pytest.mark.parametrize("above", ["", "{train,test}/"])
@pytest.mark.parametrize("files", REPEATED)
def test_folders_with_the_images_of_other_classes(
    trees: Any, files: str, above: str
) -> None:
    files = files.replace("{above}", "")
    root = trees.make(" ".join(f"{above}{pattern}" for pattern in files.split()))
    (line, config), *_ = trees.options(root)
    assert set(trees.counts(config)) == {"cat", "dog"}, line
    trees.require(root)


BELOW = {
    "a sample beside it": "dataset/{cat,dog}/#.jpg sample/{a,b,c}.jpg",
    "a demo beside it": "data/{cat,dog}/#.jpg demo/{a,b,c}.jpg",
    "documents beside it": "images/{cat,dog}/#.jpg docs/{a,b,c}.png",
    "assets beside splits": "data/{train,test}/{cat,dog}/#.jpg assets/{a,b}.png",
    "test images beside splits":
        "dataset/{train,test}/{cat,dog}/#.jpg test_images/#.jpg",
    "a repository": "Dataset/{cat,dog}/#.jpg app/static/{a,b}.png docs/{x,y}.png",
    "a repository with two programs":
        "Dataset/{cat,dog}/#.jpg web/logo.png mobile/res/{x,y}.png docs/{x,y}.png",
    "screenshots beside it": "data/{cat,dog}/#.jpg screenshots/{a,b}.png",
    "a folder of its own name": "pets/{cat,dog}/#.jpg app/static/{a,b}.png",
    "two folders down": "images/images/{cat,dog}/#.jpg resized/resized/V_#.jpg",
    "test without labels": "DATA/{cat,dog}/#.jpg TEST/#.png",
    "splits two folders down": "Plants(Aug)/Plants(Aug)/{train,valid}/{cat,dog}/#.jpg "
    "test/test/x#.jpg",
    "splits in a folder of any name": "pets/{train,val}/{cat,dog}/#.jpg screens/#.png",
    "Bilder": "Bilder/{cat,dog}/#.jpg Ergebnisse/{a,b}.png",
}  # fmt: skip


@pytest.mark.parametrize("files", BELOW.values(), ids=BELOW)
def test_a_data_set_beside_other_folders(trees: Any, files: str) -> None:
    root = trees.make(files)
    (line, config), *_ = trees.options(root)
    assert line.startswith("--data "), line
    assert set(trees.counts(config)) == {"cat", "dog"}
    trees.require(root)


BESIDE = {
    "graphics of any name": "haustiere/{cat,dog}/#.jpg grafiken/{a,b,c}.png",
    "a program's folder": "pets_v2/{cat,dog}/#.jpg website/img/{1,2,3}.png",
    "a report and a talk": "animals/{cat,dog}/#.jpg report/fig/{1,2}.png talk/#.png",
    "one image": "Image_Dataset/{cat,dog}/#.jpg 16_Features/plot.jpg",
}


@pytest.mark.parametrize("files", BESIDE.values(), ids=BESIDE)
def test_a_data_set_beside_folders_of_any_name(trees: Any, files: str) -> None:
    root = trees.make(files)
    (line, config) = trees.options(root)[-1]
    assert line.startswith("--data "), line
    assert trees.counts(config) == {"cat": 6, "dog": 6}


def test_names_of_files_are_no_classes_beside_class_folders(
    trees: Any,
) -> None:
    root = trees.make("{Training,Test}/{apple,banana}/#_100.jpg test-multiple/#.jpg")
    lines = [line for line, _ in trees.options(root)]
    assert not any(r"_\d+" in line for line in lines), lines


VERSIONS = {
    "images, resized": ("images", "resized"),
    "images, thumbnails": ("images", "thumbnails"),
    "raw, processed": ("raw", "processed"),
    "OriginalDataset, AugmentedDataset": ("OriginalDataset", "AugmentedDataset"),
    "color, grayscale, segmented": ("color", "grayscale", "segmented"),
    "original, aug": ("original", "aug"),
    "photos, photos_cropped": ("photos", "photos_cropped"),
    "full, small": ("full", "small"),
}


@pytest.mark.parametrize("image", ["#.jpg", "{x_#,y_#}.jpg"])
@pytest.mark.parametrize("tops", VERSIONS.values(), ids=VERSIONS)
def test_versions_of_a_data_set(trees: Any, tops: tuple[str, ...], image: str) -> None:
    root = trees.make(f"{{{','.join(tops)}}}/{{cat,dog}}/{image}")
    configs = trees.options(root)
    lines = [line for line, _ in configs]
    assert lines[0] == f"--data {root}/{tops[0]}", lines
    assert set(lines[: len(tops)]) == {f"--data {root}/{top}" for top in tops}
    trees.require(root)
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(root)), "unused")
    assert "with the copies of an image in different splits: the" in str(stopped.value)


@pytest.mark.parametrize("top", ["resized", "aug", "thumbnails", "grayscale", "small"])
def test_copies_of_all_classes_beside_them(trees: Any, top: str) -> None:
    root = trees.make(f"{{cat,dog}}/#.jpg {top}/{{cat,dog}}/#.jpg")
    (line, config), *_ = trees.options(root)
    assert trees.counts(config) == {"cat": 6, "dog": 6}, line
    trees.require(root)


@pytest.mark.parametrize(
    ("inner", "image"),
    [
        (("256x256", "128x128"), "#.jpg"),
        (("RAW", "JPG"), "IMG_04#.jpg"),
        (("original", "augmented"), "#.jpg"),
        (("full", "thumbs"), "a#.jpg"),
    ],
)
@pytest.mark.parametrize("other", ["", "x"])
def test_versions_in_each_class(
    trees: Any, inner: tuple[str, ...], image: str, other: str
) -> None:
    folders = f"{{{','.join(inner)}}}"
    root = trees.make(f"cat/{folders}/{image} dog/{folders}/{other}{image}")
    configs = trees.options(root)
    read = {ref.name for ref in list_images(configs[0][1], "unused").refs}
    assert len({name.split("/")[1] for name in read}) == 1
    assert {name.split("/")[0] for name in read} == {"cat", "dog"}
    trees.require(root)
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(root)), "unused")
    assert "with the copies of an image in different splits: 2" in str(stopped.value)


def test_names_of_splits_without_train_are_no_splits(
    trees: Any,
) -> None:
    configs = trees.options(trees.make("{test,val}_{cat,dog}_#.jpg"))
    assert not any("split" in line for line, _ in configs)


@pytest.mark.parametrize(
    "files",
    [
        "{train,test}_0{1,2,3,4,5,6}.png",
        "images/{Train,Test}_#.jpg",
        "{training,holdout}0{1,2,3,4,5,6}.png",
        "img-{train,val,test}-#.jpg",
        "Bilder/{entrenamiento,prueba}.#.jpg",
    ],
)
def test_words_of_splits_in_names_of_files_are_no_classes(
    trees: Any, files: str
) -> None:
    root = trees.make(files)
    with pytest.raises(DataError, match="hold splits and no class") as stopped:
        list_images(load_config(None, data=str(root)).data, "unused")
    assert "class_pattern" not in str(stopped.value)


def test_classes_in_names_of_files_beside_a_word_of_a_split_are_offered(
    trees: Any,
) -> None:
    trees.require(trees.make("{train,plane}_#.jpg"), "train 6 plane 6")
    trees.require(trees.make("{new_train,old_train}_#.jpg"))


@pytest.mark.parametrize(
    ("parts", "split"),
    [
        ("batch1 batch2 batch3", "holdout"),
        ("2022 2023", "test"),
        ("day1 day2", "val"),
        ("siteA siteB", "holdout"),
        ("real synthetic", "test"),
        ("data", "data_test"),
        ("pets", "pets_test"),
    ],
)
def test_parts_beside_one_split_are_for_training(
    trees: Any, parts: str, split: str
) -> None:
    names = parts.split()
    root = trees.make(f"{{{','.join([*names, split])}}}/{{cat,dog}}/#.jpg")
    number = 6 * len(names)
    wanted = f"cat train {number} cat test 6 dog train {number} dog test 6"
    (line, first), *others = trees.options(root)
    assert trees.counts(first, True) == trees.wanted(wanted), line
    (mixed,) = (
        c
        for _, c in others
        if trees.counts(c).keys() == {"cat", "dog"} and not Path(c.path).name == "data"
    )
    warnings = "\n".join(list_images(mixed, "unused").warnings)
    assert f"12 of {2 * number + 12} paths name a split" in warnings


def test_a_class_called_as_a_split_is_no_split_of_a_pattern(
    trees: Any,
) -> None:
    root = trees.make("photos/{test,cat,dog}/#.jpg photos/cat/web/2#.jpg")
    pattern = "photos/(?P<class>[^/]+)/.+"
    config = DataConfig(path=str(root), class_pattern=pattern)
    assert "name a split" not in "\n".join(list_images(config, "unused").warnings)


@pytest.mark.parametrize(
    "masks",
    [
        "{train,test}_masks",
        "{train,test}_GT",
        "{train,test}annot",
        "Labels-{train,test}",
    ],
)
def test_masks_of_splits_are_no_images_of_them(trees: Any, masks: str) -> None:
    root = trees.make(
        f"{{train,test}}/{{cat,dog}}/#.png {masks}/{{cat,dog}}/#_mask.png"
    )
    (line, first), *others = trees.options(root)
    wanted = trees.wanted("cat train 6 cat test 6 dog train 6 dog test 6")
    assert trees.counts(first, True) == wanted, line
    assert all(config.split_folders is None for _, config in others)
    with pytest.raises(DataError, match="hold masks or labels of the images"):
        list_images(load_config(None, data=str(root)).data, "unused")
    beside = {"train": ["train", next(trees.expanded(masks))], "test": "test"}
    config = DataConfig.model_validate({"path": str(root), "split_folders": beside})
    warnings = "\n".join(list_images(config, "unused").warnings)
    assert "masks or labels of the images" in warnings


def test_splits_called_after_labels_are_splits(
    trees: Any,
) -> None:
    root = trees.make("labels_{train,test}/{cat,dog}/#.png")
    config = load_config(None, data=str(root)).data
    wanted = trees.wanted("cat train 6 cat test 6 dog train 6 dog test 6")
    assert trees.counts(config, True) == wanted
