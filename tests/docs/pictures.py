"""Make the pictures of the README: a recorded terminal, and a page of a report.

    python tests/docs/pictures.py    # or `make pictures`; writes docs/pictures/

The commands of the README's own images run on handwritten digits in a pseudo-terminal,
and pyte, a terminal without a screen, holds what they show. rich draws that as SVG. A
headless browser takes the pictures of the report; without one they stay as they are.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pyte
from PIL import Image
from rich.console import Console
from rich.style import Style
from rich.text import Text
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
COMMANDS = ("graft run my_photos", "graft predict new_photos/ --top 3")
COLUMNS, LINES = 108, 400
WIDTH = 1100
LIGHT, DARK = 1, 0
VIEWS = {
    "report-light.png": (LIGHT, 720),
    "report-dark.png": (DARK, 720),
    "report-page.png": (LIGHT, 2300),
}
"""Picture to colour scheme and height: the first screen of a report, and more of it."""

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_COLOURS = 128
_PER_CLASS = 60


def find_browser() -> str | None:
    """Return a browser: the one that `GRAFT_BROWSER` names, or one on the PATH."""
    named = os.environ.get("GRAFT_BROWSER")
    return named or next(filter(None, map(shutil.which, BROWSERS)), None)


def write_photos(folder: Path) -> None:
    """Write a folder of images per class, and some images that no class has."""
    digits = load_digits()
    for digit in range(10):
        chosen = digits.images[digits.target == digit]
        target = folder / "my_photos" / f"digit {digit}"
        target.mkdir(parents=True)
        for number, image in enumerate(chosen[:_PER_CLASS]):
            _as_image(image).save(target / f"{number:03d}.png")
        if digit < len("abc"):
            new = folder / "new_photos"
            new.mkdir(exist_ok=True)
            _as_image(chosen[-1]).save(new / f"{'abc'[digit]}.png")


def _as_image(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray((pixels * 255 / 16).astype(np.uint8))
    return image.resize((64, 64), Image.Resampling.BICUBIC)


class Terminal:
    """A pseudo-terminal that holds what commands show, with its colours."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    def run(self, command: str, folder: Path) -> None:
        """Run a command of a shell in a folder.

        Raises:
            RuntimeError: It failed; the message has all that was shown.
        """
        self._stream.feed(f"\x1b[1m$ {command}\x1b[0m\r\n".encode())
        process, terminal = pty.fork()
        if process == 0:
            try:
                os.chdir(folder)
                os.environ |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
                scripts = os.path.dirname(sys.executable)
                os.environ["PATH"] = f"{scripts}{os.pathsep}{os.environ['PATH']}"
                os.execv("/bin/sh", ["sh", "-c", command])
            finally:
                os._exit(99)
        while select.select([terminal], [], [])[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the terminal of an ended process
                break
            if not part:
                break
            self._stream.feed(part)
        os.close(terminal)
        _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"{command!r} failed:\n{self.text()}")
        self._stream.feed(b"\r\n")

    def text(self) -> str:
        """Return all lines, without the blank ones at the end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def to_svg(self) -> str:
        """Return all lines as SVG. It needs no network: it names no font to load."""
        lines = Text(no_wrap=True)
        for number, shown in enumerate(self.text().split("\n")):
            row = self._screen.buffer[number]
            cells = [row[column] for column in range(len(shown))]
            for style, run in itertools.groupby(cells, _style_of):
                lines.append("".join(cell.data for cell in run), style)
            lines.append("\n")
        console = Console(record=True, width=COLUMNS, file=StringIO())
        console.print(lines, end="")
        svg = console.export_svg(title="graft", unique_id="graft-terminal")
        svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
        return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas")


def _style_of(cell: pyte.screens.Char) -> Style:
    colour = None if cell.fg == "default" else _colour_of(cell.fg)
    return Style(color=colour, bold=cell.bold, italic=cell.italics)


def _colour_of(name: str) -> str:
    """Return rich's name of a colour of pyte."""
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    return {"brown": "yellow"}.get(name, name.replace("bright", "bright_"))


def take_picture(
    browser: str, page: Path, scheme: int, height: int, scratch: Path
) -> bytes:
    """Return the top of a page as PNG.

    Args:
        browser: The browser's program.
        page: The page.
        scheme: `LIGHT` or `DARK`.
        height: Number of pixels from the top.
        scratch: A folder for the browser.
    """
    path = scratch / "page.png"
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={scratch}/browser", "--hide-scrollbars"),
            *(f"--window-size={WIDTH},{height}", f"--screenshot={path}"),
            f"--blink-settings=preferredColorScheme={scheme}",
            page.resolve().as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with Image.open(path) as image:
        reduced = image.convert("RGB").quantize(_COLOURS)
    written = BytesIO()
    reduced.save(written, "PNG", optimize=True)
    return written.getvalue()


def main() -> None:
    """Make all pictures; those of the report only if there is a browser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=PICTURES, help="their folder")
    to = parser.parse_args().to
    to.mkdir(parents=True, exist_ok=True)
    browser = find_browser()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_photos(folder)
        terminal = Terminal()
        for command in COMMANDS:
            terminal.run(command, folder)
        (to / "terminal.svg").write_text(terminal.to_svg(), encoding="utf-8")
        (page,) = folder.glob("graft_output/pipelines/*/artifacts/Report/*/*/*.html")
        for name, (scheme, height) in VIEWS.items() if browser else ():
            picture = take_picture(str(browser), page, scheme, height, folder)
            (to / name).write_bytes(picture)
    if browser is None:
        sys.stderr.write(
            "No browser: the pictures of the report stay as they are. Install one, "
            "such as chromium-headless-shell, or name it by GRAFT_BROWSER.\n"
        )


if __name__ == "__main__":
    main()
