"""An image in the terminal: two pixels a character, as colored half blocks."""

from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.text import Text

MOST_COLUMNS = 96


def print_image(path: Path) -> None:
    """Print an image as wide as the terminal allows, at most 96 columns; nothing on one without its colors."""
    console = Console()
    if console.no_color or console.color_system not in ("256", "truecolor"):
        return
    try:
        print_on(console, path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        print(f"  cannot be shown ({error})")


def print_on(console: Console, path: Path) -> None:
    """Print an image on a console, whose colors are those of the terminal behind it."""
    with Image.open(path) as image:
        columns = min(console.width, MOST_COLUMNS, image.width)
        rows = max(2, round(image.height * columns / image.width) // 2 * 2)
        pixels = np.asarray(image.convert("RGB").resize((columns, rows), Image.Resampling.BOX))
    for y in range(0, rows, 2):
        line = Text(end="\n")
        for x in range(columns):
            upper, lower = ("#{:02x}{:02x}{:02x}".format(*pixels[y + half, x]) for half in (0, 1))
            line.append("▀", style=f"{upper} on {lower}")
        console.print(line)
