"""Compare the embedded server with the bare model, for a real export.

    python tests/benchmarks/serving_benchmark.py [--requests 1000000]

The model is EfficientNet-Lite0 with its ImageNet weights and a new head of two classes.
The images are photographs of cats and dogs. With `--requests`, the server's memory is
measured over this number of tiny requests, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUM_IMAGES = 64
CLASS_NAMES = ("cat", "dog")


def main() -> None:
    """Export a model, and measure servers that serve it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=0)
    arguments = parser.parse_args()
    named = os.environ.get("GRAFT_TEST_DATA")
    data = Path(named) if named else ROOT.parent / "shared" / "data"
    archive = data / "cats_vs_dogs.tar"
    if not archive.is_file():
        sys.exit(
            f"{archive} is not here: set GRAFT_TEST_DATA to the folder of real images"
        )
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as scratch:
        folder = Path(scratch)
        images = extract_photographs(archive, folder / "photographs")
        version = folder / "model" / "1"
        export(version, images[:4], folder)
        measure("server_figures.py", version, *images)
        if arguments.requests:
            measure("server_memory.py", "--requests", str(arguments.requests))


def measure(script: str, *arguments: str | Path) -> None:
    """Run a script of this folder, whose figures go to standard output."""
    path = Path(__file__).with_name(script)
    subprocess.run([sys.executable, path, *arguments], check=True, cwd=ROOT)


def extract_photographs(archive: Path, folder: Path) -> list[Path]:
    """Extract the first photographs of cats and of dogs, as many of each."""
    with tarfile.open(archive) as tar:
        members = [each for each in tar.getmembers() if each.name.endswith(".jpg")]
        chosen = [
            each
            for name in CLASS_NAMES
            for each in [one for one in members if f"/{name}/" in one.name][
                : NUM_IMAGES // len(CLASS_NAMES)
            ]
        ]
        tar.extractall(folder, chosen, filter="data")
    return [folder / each.name for each in chosen]


def export(version: Path, images: list[Path], scratch: Path) -> None:
    """Export the backbone with a new head, as the Trainer does.

    Args:
        version: Folder to write.
        images: What Transform analyses; it learns nothing from them but the label map.
        scratch: Folder for Transform's graph.
    """
    import tensorflow_transform as tft
    from conftest import write_transform_output

    from graft.pipeline.beam_settings import keep_beam_local
    from graft.trainer.backbones.backbone import build_backbone
    from graft.trainer.config import ModelConfig
    from graft.trainer.export.saved_model import ServingModel, export_model
    from graft.trainer.heads.head import build_head
    from graft.trainer.preprocessing.spec import PreprocessingSpec

    keep_beam_local()
    spec = PreprocessingSpec(height=224, width=224, scaling="lite")
    output = tft.TFTransformOutput(
        write_transform_output(
            [path.read_bytes() for path in images],
            [CLASS_NAMES[number % 2] for number in range(len(images))],
            spec,
            scratch,
        )
    )
    model = ModelConfig()
    backbone = build_backbone(model)
    export_model(
        ServingModel(
            transform=output.transform_features_layer(),
            backbone=backbone,
            head=build_head(model, backbone.output_shape[1:], len(CLASS_NAMES)),
            class_names=CLASS_NAMES,
        ),
        str(version),
    )


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    main()
