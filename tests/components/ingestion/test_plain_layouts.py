"""Plain class folders are read without a question, whatever they are called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

# Classes, separated by commas. "=" is the name of the class in the name of its images.
CLASSES = [
    # Food
    "apple_pie,baby_back_ribs,baklava", "raw,ripe,rotten", "raw,cooked",
    "raw,rare,medium,done", "fresh,rotten,spoiled", "whole,sliced,diced",
    "tomato,tomato_small,tomato_large", "orange,orange_peeled,orange_cropped",
    "hot dog,not hot dog", "egg,egg_white,egg_yolk", "pizza,pasta,mixed grill",
    # Things and brands
    "copy_paper,paper", "copy paper,paper,cardboard", "photo_frame,frame",
    "cooper,cooper_mini", "car,car_mirror", "mirror,mirror_ball", "data_cable,cable",
    "image_scanner,scanner", "mask,no_mask", "labels,bottles", "Canon,Nikon,Sony",
    "BMW 3,BMW 5,BMW X5", "iPhone,iPhone 2,iPhone 3", "Boeing 737,Boeing 747",
    "test_tube,beaker", "train,bus,car", "train_station,bus_stop", "part,whole",
    "bolt,bolt_rotated,nut", "label,label_flipped", "lens,lens_blurred",
    "trash,glass,metal", "model_a,model_b", "logs,planks", "cache,box",
    "figures,tables,text", "image,text,table", "photos,paintings", "code,prose",
    "notebook,pencil,eraser", "photo,screenshot,meme", "photos,screenshots,memes",
    "weights,bench,bar", "static,clean,hum", "document,form,letter", "chart,table",
    "script,print",
    # Colours, shapes, states
    "red,green,blue", "red,red_dark,red_light", "light,dark", "left,right,none",
    "blue,blue-green,green", "on,off", "open,closed", "good,bad", "ok,defect",
    "temp,warm", "data,voice", "sharp,blurred", "original,fake",
    "original,copy", "original,cropped,rotated", "cropped,uncropped", "new,old",
    "normal,abnormal", "before,after", "day,night", "clean,dirty", "high,low",
    "positive,negative", "true,false", "yes,no", "valid,invalid", "test,control",
    # Numbers, letters, years, dates
    "0,1,2,3,4,5,6,7,8,9", "A,B,C,D", "a,b,c", "1,1a,2", "1998,cat,dog",
    "level 1,level 2,level 3", "type1,type2", "class_0,class_1", "grade_1,grade_2",
    "0-9,10-19,20-29", "18+,under 18",
    # Animals and plants
    "cat,dog", "n01440764,n01443537", "001.Auk,002.Tern", "Iris-setosa,Iris-virginica",
    "Apple___scab,Apple___healthy,Apple___rust", "cat,catfish,dog,dogfish",
    "leaf,leaf_processed", "sea,noisy_sea", "rose,wild_rose,other",
    "background,person", "unknown,known", "misc,cat,dog",
    "checkpoint,no_checkpoint", "images,no images,other", "errors,correct",
    # Things that programs write, too
    "fire_images,non_fire_images", "good_images,bad_images", "lab_results,invoices",
    "planks,branches,logs", "rooms,gardens,plots", "pens,notebooks,rulers",
    "crops,weeds,soil", "cache,safe,vault", "images,text,tables",
    # Other languages
    "Katze,Hund", "chat,chien", "gato,perro", "кошка,собака", "猫,犬", "고양이,개",
    "आम,केला", "قطة,كلب", "Äpfel,Birnen", "sucré,salé", "nuevo,viejo", "roh,reif,faul",
]  # fmt: skip
NAMES = ["#.jpg", "IMG_#.JPG", "=_#.png", "img-00#.png", "photo #.jpeg"]


def _expanded(files: str) -> Iterator[str]:
    for pattern in files.split():
        parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{1,2,3,4,5,6}"))
        choices = [
            part[1:-1].split(",") if part.startswith("{") else [part] for part in parts
        ]
        yield from map("".join, itertools.product(*choices))


def _require_read(names: list[str], classes: set[str]) -> None:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout), answer
    read = {name.split("/")[0 if answer.format == "folders" else 1] for name in names}
    assert read == classes
    assert not any("unlike the others" in warning for warning in answer.warnings)


@pytest.mark.parametrize("image", NAMES)
@pytest.mark.parametrize("classes", CLASSES)
def test_classes_are_read(classes: str, image: str) -> None:
    tops = classes.split(",")
    names = [
        f"{top}/{image.replace('=', top).replace('#', str(number))}"
        for top in tops
        for number in range(1, 8)
    ]
    _require_read(names, set(tops))


@pytest.mark.parametrize("classes", CLASSES)
def test_classes_in_splits_are_read(classes: str) -> None:
    tops = classes.split(",")
    names = [
        f"{split}/{top}/{split}_{number}.jpg"
        for split in ("train", "val", "test")
        for top in tops
        for number in range(1, 8)
    ]
    _require_read(names, set(tops))


TREES = [
    "raw/green#.jpg ripe/yellow#.jpg rotten/brown#.jpg",
    "photos/DSC_#.jpg paintings/monet_#.png",
    "raw/steak#.jpg cooked/pan#.png",
    "figures/fig#.png tables/tab#.png text/par#.png",
    "{cat,dog}/{studio,web}#.jpg",
    "cat/#.jpg cat/studio/a#.jpg dog/b#.jpg",
    "cat/studio/#.jpg dog/studio/#.jpg",
    "cat/2021/#.jpg cat/2022/#.jpg dog/2021/#.jpg",
    "cat/100CANON/IMG_#.jpg dog/101CANON/IMG_#.jpg",
    "{cat,dog,hen}/subject#_{1,2}.jpg",
    "{smile,frown,none}/{ann,bob,eve}.jpg",
    "{before,after}/{ann,bob,eve}.jpg",
    "{sea,wood,town}/tile_#_{1,2,3}.png",
    "{walk,run,stand}/clip1_frame#.jpg",
    "cat/{7f3a,9b1c,d4e5}.jpg dog/{aa10,bb20,cc30}.jpg hen/{1f1f,2e2e,3d3d}.jpg",
    "cat/2024010#_120000.jpg dog/2024020#_120000.jpg",
    "cat/c#.jpg dog/d#.jpg README.md docs/guide.txt scripts/run.py logs/run.log",
    "{cat,dog}/#.jpg data.yaml labels.txt",
    "{vehicles,toys}/{train,car}/#.jpg {vehicles,toys}/{2,3}#.jpg",
    "{cat,dog}/#.jpg cat/test/2#.jpg",
    "{A,B,C,D,E}/A#.png",
    "{0,1,2,3,4}/img_{0,1}#.png",
    "{cat,dog}/{,1,2,3}#.jpg owl/{1,2,3}.jpg",
    "{joy,anger,confusion}/face_#.jpg",
    "{reports,invoices,letters}/scan_#.png",
    "{original,deleted,inserted}/gel_#.png",
    "{left,right,straight}/img_200#.jpg",
    "smile/{ann,bob}_smile.jpg frown/{ann,bob}_frown.jpg none/{ann,bob,eve}.jpg",
    "{train,val,test}/{cat,dog,hen}/#.jpg train/owl/{1,2,3}.jpg",
    "{tr,te,ta}/#.jpg",
    "{tr,te}/#.jpg",
    "cat/{1,2,3}#.jpg cat/{anna,ben}/x#.jpg dog/#.jpg",
    "{cat,dog,hen}/{1,2,3}.jpg {cat,dog,hen}/{4,5,6}.png",
    "{bolt,nut}/v{1,2}_#.jpg",
    "{drill_set,saw,hammer}/#.jpg",
    "{IMG,DSC}_class/IMG_#.jpg",
]


@pytest.mark.parametrize("files", TREES)
def test_plain_trees_are_read(files: str) -> None:
    names = list(_expanded(files))
    tops = {n.split("/")[0] for n in names if n.endswith(("jpg", "png"))}
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, FolderLayout), answer
    assert answer.format == ("pre_split" if "train" in tops else "folders")
    assert not any("unlike the others" in warning for warning in answer.warnings)


def test_a_split_in_one_class_has_a_warning() -> None:
    answer = detect_layout(count_folders(_expanded("{cat,dog}/#.jpg cat/test/2#.jpg")))
    assert isinstance(answer, FolderLayout), answer
    (warning,) = answer.warnings
    assert "'cat' holds folders with names of splits, 'test'" in warning


@pytest.mark.parametrize("above", ["", "{train,test}/"])
def test_a_word_of_programs_among_things_has_a_warning(above: str) -> None:
    files = f"{above}{{planks,branches,logs}}/#.jpg"
    answer = detect_layout(count_folders(_expanded(files)))
    assert isinstance(answer, FolderLayout), answer
    (warning,) = answer.warnings
    assert "'logs' may be no class by its name" in warning


@pytest.mark.parametrize(
    "files",
    [
        "{planks,branches}/#.jpg logs/#.png",
        "{planks,branches}/#.jpg logs/x_#.jpg",
        "{planks,branches}/{1,2,3,4}_#.jpg logs/1_#.jpg plots/1_#.jpg",
        "{planks,branches}/{1,2,3,4}_#.jpg logs/1_{1,2,3}.jpg",
        "planks/{a,b,c}.jpg branches/{d,e,f}.jpg logs/{loss,accuracy,other}.jpg",
        "{cat,dog}/#.jpg logs/#.jpg",
        "{cats,dogs}/#.jpg images/#.jpg",
    ],
)
def test_a_word_of_programs_is_asked_about_with_evidence(files: str) -> None:
    answer = detect_layout(count_folders(_expanded(files)))
    assert isinstance(answer, Question), answer
    assert "that say" in answer.finding


def test_a_split_in_each_class_is_asked_about_in_the_singular() -> None:
    files = "{cat,dog}/test/#.jpg {cat,dog}/2#.jpg"
    answer = detect_layout(count_folders(_expanded(files)))
    assert isinstance(answer, Question), answer
    assert answer.finding.startswith(
        "The folder 'test' in 'cat', 'dog' has the name of a split, but images lie "
        "beside it. It may be a split, or images of the class like the others."
    )
