"""What the tests of Flink download once: Flink itself, and Beam's job server.

    .venv/bin/python tests/flink/downloads.py

Versions are pinned. So are hashes: a download with another content is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from graft.serving import child_process

CACHE = Path(__file__).resolve().parents[2] / ".flink"
"""Where the downloads stay; git ignores it."""
FLINK = (
    "apache-flink-libraries==1.19.3 --hash=sha256:"
    "4a58e3a1fb7d83340bc96b6c080624c6d792d69fae5d294b96224775204a9c60\n"
)
"""The sdist of this package holds a whole distribution of Flink."""
JOB_SERVER = "beam-flink-job-server-2.62.0.jar"
"""What `pom.xml` builds."""
JOB_SERVER_CONTENT = "375a73200d1cabbc601dd81d8652806e161516f76b530fa0c4ccab7b0d8554ed"
"""The `content_of` that file."""


class DownloadError(Exception):
    """A download has another content than it had when its hash was written down."""


def distribution() -> Path:
    """Return the folder of Flink's jars. It is downloaded once, by pip."""
    folder = CACHE / "flink-1.19.3"
    if not folder.exists():
        with _unfinished(folder) as work:
            _run(sys.executable, "-m", "venv", str(work / "pip"))
            (work / "requirements.txt").write_text(FLINK)
            # pip refuses another hash.
            download = "download -q --no-deps --no-binary=:all: -r".split()
            requirements = str(work / "requirements.txt")
            target = ("-d", str(work))
            _run(str(work / "pip/bin/pip"), *download, requirements, *target)
            (archive,) = work.glob("*.tar.gz")
            shutil.unpack_archive(archive, work / "unpacked", filter="data")
            (libraries,) = work.glob("unpacked/*/deps/lib")
            libraries.rename(work / "lib")
            for finished in ("unpacked", "pip"):
                shutil.rmtree(work / finished)
            archive.unlink()
    return folder / "lib"


def job_server_jar() -> Path:
    """Return Beam's job server as one file. It is built once, by Maven.

    Raises:
        DownloadError: A library in it is not the one that it was.
    """
    folder = CACHE / "job-server-2.62.0"
    if not folder.exists():
        with _unfinished(folder) as work:
            shutil.copy(Path(__file__).parent / "pom.xml", work / "pom.xml")
            _run("mvn", "-q", "-B", "-f", str(work / "pom.xml"), "package")
            (work / "target" / JOB_SERVER).rename(work / JOB_SERVER)
            require_content(work / JOB_SERVER, JOB_SERVER_CONTENT)
            shutil.rmtree(work / "target")
    return folder / JOB_SERVER


def require_content(jar: Path, wanted: str) -> None:
    """Check the content of a jar.

    Raises:
        DownloadError: It is another one.
    """
    found = content_of(jar)
    if found != wanted:
        raise DownloadError(
            f"{jar.name} must have the content {wanted}. Received: {found}. One of the "
            "libraries that Maven downloaded is another one than before."
        )


def content_of(jar: Path) -> str:
    """Return one hash of all files in a jar.

    Left out is what Maven writes itself: it names the time, the user and the Java
    version.
    """
    whole = hashlib.sha256()
    with zipfile.ZipFile(jar) as archive:
        for name in sorted(archive.namelist()):
            written_by_maven = ("META-INF/MANIFEST.MF", "META-INF/maven/graft.tests/")
            if name.endswith("/") or name.startswith(written_by_maven):
                continue
            with archive.open(name) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            whole.update(f"{found} {name}\n".encode())
    return whole.hexdigest()


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Yield a folder that gets its name when it is complete."""
    CACHE.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="unfinished-", dir=CACHE))
    try:
        yield work
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _run(*words: str) -> None:
    subprocess.run(child_process.command(words), check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    distribution()
    job_server_jar()
