"""Trees of public data sets are read right, or asked about with an option that does."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

NEVER_CLASSES = {"train", "test", "val", "valid", "images", "masks", "annotations"}
LABELS = {
    "trainLabels.csv": "id,label\n0,frog\n1,ship\n2,frog\n3,ship\n",
    "noisy_imagenette.csv": "path,noisy_labels_0,noisy_labels_5,is_valid\n"
    "train/n01/0.JPEG,n01,n02,False\nval/n02/1.JPEG,n02,n02,True\n",
    "Train.csv": "Width,Height,Roi.X1,ClassId,Path\n27,26,5,0,Train/0/0.png\n"
    "29,28,5,1,Train/1/0.png\n27,26,5,1,Train/1/1.png\n",
    "GT-00000.csv": "Filename;Width;ClassId\n0.ppm;29;0\n1.ppm;29;0\n",
    "EuroSAT/train.csv": ",Filename,Label,ClassName\n0,Forest/0.jpg,1,Forest\n"
    "1,River/0.jpg,2,River\n2,River/1.jpg,2,River\n",
    "birds.csv": "class id,filepaths,labels,data set\n0,train/A FINCH/0.jpg,A FINCH,"
    "train\n1,test/B DOVE/1.jpg,B DOVE,test\n",
    "train_aptos.csv": "id_code,diagnosis\n0,2\n1,0\n2,2\n3,0\n",
    "sample_submission.csv": "id,label\n0,frog\n1,frog\n",
    "caption.txt": "a photo of a cat",
    "val_annotations.txt": "val_0.JPEG\tn01\t0\t1\t2\t3\nval_1.JPEG\tn02\t0\t1\t2\t3\n",
}

# Of a data set: its files ("#" are four numbers), the classes, and whether it is read
# without a question. A file that stands in LABELS gets that content.
TREES = {
    "Food-101": ("images/{apple_pie,sushi}/#.jpg meta/classes.txt README.txt",
                 "apple_pie sushi", False),
    "Flowers-102": ("{train,valid}/{1,2,3}/#.jpg test/image_#.jpg cat_to_name.json",
                    "1 2 3", True),
    "CUB-200": ("images/{001.Auk,002.Tern}/#.jpg classes.txt bounding_boxes.txt "
                "parts/parts.txt attributes/attributes.txt", "001.Auk 002.Tern", False),
    "Stanford Dogs": ("Images/{n01-Pug,n02-Beagle}/#.jpg Annotation/n01-Pug/#",
                      "n01-Pug n02-Beagle", False),
    "Caltech-101": ("{accordion,BACKGROUND_Google}/image_#.jpg",
                    "accordion BACKGROUND_Google", True),
    "Caltech-256": ("256_ObjectCategories/{001.ak47,257.clutter}/001_#.jpg",
                    "001.ak47 257.clutter", False),
    "CIFAR-10": ("{train,test}/{cat,frog}/#.png", "cat frog", True),
    "CIFAR-10, Kaggle": ("{train,test}/#.png trainLabels.csv sample_submission.csv",
                         "frog ship", False),
    "EuroSAT": ("2750/{Forest,River}/Forest_#.jpg", "Forest River", False),
    "EuroSAT, Kaggle": ("EuroSAT/{Forest,River}/#.jpg EuroSAT/train.csv",
                        "Forest River", False),
    "PlantVillage": ("{color,grayscale,segmented}/{Apple___scab,Apple___healthy}/#.JPG",
                     "Apple___scab Apple___healthy", False),
    "Intel scenes": ("seg_{train/seg_train,test/seg_test}/{sea,street}/#.jpg "
                     "seg_pred/seg_pred/#.jpg", "sea street", False),
    "Chest X-ray": ("{train,val,test}/{NORMAL,PNEUMONIA}/IM-#.jpeg",
                    "NORMAL PNEUMONIA", True),
    "Chest X-ray, twice": ("{,chest_xray/}{train,val,test}/{NORMAL,PNEUMONIA}/#.jpeg",
                           "NORMAL PNEUMONIA", False),
    "Cats and dogs": ("train/{cat,dog}.#.jpg test1/#.jpg sample_submission.csv",
                      "cat dog", False),
    "PetImages": ("PetImages/{Cat,Dog}/#.jpg readme[1].txt", "Cat Dog", False),
    "Fruits-360": ("{Training,Test}/{Apple,Kiwi}/#.jpg test-multiple_fruits/#.jpg",
                   "Apple Kiwi", False),
    "GTSRB": ("Train/{0,1}/#.png Test/#.png Meta/#.png Train.csv", "0 1", False),
    "GTSRB, official": ("Final_Training/Images/{00000,00001}/#.ppm "
                        "Final_Training/Images/00000/GT-00000.csv", "00000 00001",
                        False),
    "SVHN": ("{train,test}/{1,2}/#.png", "1 2", True),
    "DTD": ("images/{banded,dotted}/banded_#.jpg labels/train1.txt imdb/imdb.mat",
            "banded dotted", False),
    "Oxford pets": ("images/{Beagle,Great_Dane}_#.jpg annotations/list.txt "
                    "annotations/trimaps/{Beagle,Great_Dane}_#.png",
                    "Beagle Great_Dane", False),
    "Places365": ("data_large/{a/alley,a/attic,b/barn,b/bar}/#.jpg",
                  "alley attic barn bar", False),
    "iNaturalist 2021": ("{train_mini,val}/{00000_Animalia,00001_Plantae}/#.jpg "
                         "train_mini.json", "00000_Animalia 00001_Plantae", True),
    "Tiny ImageNet": ("train/{n01,n02}/images/n_#.JPEG train/n01/n01_boxes.txt "
                      "wnids.txt val/images/val_{0,1}.JPEG val/val_annotations.txt "
                      "test/images/#.JPEG", "n01 n02", True),
    "Imagenette": ("{train,val}/{n01,n02}/#.JPEG noisy_imagenette.csv", "n01 n02",
                   True),
    "Stanford Cars": ("car_data/car_data/{train,test}/{BMW X5,Audi A4}/#.jpg",
                      "BMW_X5 Audi_A4", False),
    "UC Merced": ("Images/{airplane,beach}/#.tif readme.txt", "airplane beach", False),
    "SUN397": ("SUN397/{a/abbey,a/attic,b/bar,b/barn}/#.jpg", "abbey attic bar barn",
               False),
    "RESISC45": ("{airplane,beach}/airplane_#.jpg", "airplane beach", True),
    "FER-2013": ("{train,test}/{angry,happy}/Training_#.jpg", "angry happy", True),
    "ASL alphabet": ("asl_alphabet_train/asl_alphabet_train/{A,B,del}/#.jpg "
                     "asl_alphabet_test/asl_alphabet_test/{A,B}_test.jpg", "A B del",
                     False),
    "Rock-paper-scissors": ("{rps,rps-test-set}/{rock,paper}/#.png "
                            "rps-validation/paper1.png", "rock paper", False),
    "Brain tumors": ("{Training,Testing}/{glioma,notumor}/Tr_#.jpg", "glioma notumor",
                     True),
    "Birds": ("{train,test}/{A FINCH,B DOVE}/#.jpg birds.csv", "A_FINCH B_DOVE", True),
    "COVID radiography": ("{COVID,Normal}/{images,masks}/COVID-#.png "
                          "COVID.metadata.xlsx", "COVID Normal", False),
    "APTOS": ("train_images/#.png test_images/t_#.png train_aptos.csv", "0 2", False),
    "Office-31": ("{amazon,dslr}/images/{bike,mug}/frame_#.jpg", "bike mug", False),
    "MNIST": ("{training,testing}/{0,1,2,3,4,5,6,7,8,9}/#.png", "0 1 2 3 4 5 6 7 8 9",
              True),
    "Letters": ("{A,B,C,D,E,F,G,H,I,J}/#.png", "A B C D E F G H I J", True),
    "Face masks": ("{with_mask,without_mask}/#.jpg", "with_mask without_mask", True),
    "Years": ("{1998,1999,2000}/#.jpg", "1998 1999 2000", False),
    "Captions": ("{cat,dog}/{cat_0,cat_1,cat_2}.{jpg,txt}", "cat dog", True),
    "Two formats": ("{cat,dog}/#.{jpg,png}", "cat dog", False),
}  # fmt: skip


def _expanded(pattern: str) -> Iterator[str]:
    parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{0,1,2,3}"))
    choices = [
        part[1:-1].split(",") if part.startswith("{") else [part] for part in parts
    ]
    yield from map("".join, itertools.product(*choices))


@pytest.mark.parametrize(("files", "classes", "is_read"), TREES.values(), ids=TREES)
def test_a_public_data_set(
    tmp_path: Path, files: str, classes: str, is_read: bool
) -> None:
    # A blank within braces belongs to a name.
    for pattern in re.findall(r"(?:\{[^}]*\}|\S)+", files):
        for name in _expanded(pattern):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            is_caption = path.suffix == ".txt" and path.stem.startswith("cat_")
            content = LABELS.get("caption.txt" if is_caption else name)
            path.write_text(content or LABELS.get(path.name) or name)
    wanted = {name.replace("_", " ") for name in classes.split()}
    arguments = [["--data", str(tmp_path)]]
    if not is_read:
        with pytest.raises(DataError) as stopped:
            list_images(load_config(None, data=str(tmp_path)).data, "unused")
        found = re.findall(r"^  \d\. (.*)$", str(stopped.value), re.MULTILINE)
        arguments = [shlex.split(line) for line in found]
    readings = []
    for words in arguments:
        pairs = dict(itertools.pairwise(words))
        config = load_config(
            None,
            data=pairs.get("--data", str(tmp_path)),
            overrides=[
                after for word, after in itertools.pairwise(words) if word == "--set"
            ],
        )
        refs = list_images(config.data, "unused").refs
        readings.append({ref.class_name.replace("_", " ") for ref in refs})
    assert wanted in readings
    assert not any(reading <= NEVER_CLASSES for reading in readings)
