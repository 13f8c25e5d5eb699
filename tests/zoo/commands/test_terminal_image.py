"""An image in the terminal has the colors of its pixels."""

import io

import pytest
from PIL import Image
from rich.console import Console

from zoo.commands.show import print_image, print_on


def test_upper_and_lower_pixels_are_the_two_colors_of_a_half_block(tmp_path):
    image = Image.new("RGB", (2, 2))
    for x, y, color in ((0, 0, (255, 0, 0)), (1, 0, (0, 255, 0)), (0, 1, (0, 0, 255)), (1, 1, (9, 8, 7))):
        image.putpixel((x, y), color)
    image.save(tmp_path / "image.png")
    out = io.StringIO()
    print_on(Console(file=out, force_terminal=True, color_system="truecolor", width=80), tmp_path / "image.png")
    first, second = out.getvalue().rstrip("\n").split("▀")[:2]
    assert first.endswith("38;2;255;0;0;48;2;0;0;255m")
    assert second.endswith("38;2;0;255;0;48;2;9;8;7m")


def test_a_wide_image_fits_the_terminal(tmp_path):
    Image.new("RGB", (640, 320)).save(tmp_path / "image.png")
    out = io.StringIO()
    print_on(Console(file=out, force_terminal=True, color_system="truecolor", width=40), tmp_path / "image.png")
    lines = out.getvalue().splitlines()
    assert len(lines) == 10 and all(line.count("▀") == 40 for line in lines)


@pytest.mark.parametrize(
    ("variables", "blocks"), [({"COLORTERM": "truecolor"}, 2), ({"NO_COLOR": "1"}, 0), ({"TERM": "dumb"}, 0)]
)
def test_a_terminal_without_the_colors_gets_no_blocks(tmp_path, capsys, monkeypatch, variables, blocks):
    for name, value in ({"TERM": "xterm", "FORCE_COLOR": "1"} | variables).items():
        monkeypatch.setenv(name, value)
    Image.new("RGB", (2, 2)).save(tmp_path / "image.png")
    print_image(tmp_path / "image.png")
    assert capsys.readouterr().out.count("▀") == blocks


def test_an_image_that_is_none_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    (tmp_path / "image.png").write_text("no image")
    print_image(tmp_path / "image.png")
    assert "cannot be shown (cannot identify image file" in capsys.readouterr().out
