"""Grids: the released rounding, faces in reading order."""

import numpy as np
import torch
from PIL import Image

from train.report.images import grid_shape, save_grid, to_uint8


def test_minus_one_is_black_one_is_white_and_beyond_is_cut():
    values = torch.tensor([-1.5, -1.0, 0.0, 1.0, 2.0]).view(5, 1, 1, 1)
    assert to_uint8(values).flatten().tolist() == [0, 0, 128, 255, 255]  # round(127.5) goes to the even 128


def test_faces_stand_in_reading_order_enlarged_by_repetition(tmp_path):
    faces = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1).repeat(3, axis=1) * 10
    save_grid(tmp_path / "grid.png", faces, columns=3, resolution=2)
    image = np.asarray(Image.open(tmp_path / "grid.png"))
    assert image.shape == (4, 6, 3)
    assert image[::2, ::2, 0].tolist() == [[0, 10, 20], [30, 40, 50]]
    assert (image[0:2, 0:2] == 0).all()


def test_grid_of_1024_is_the_smallest_and_of_4_the_largest():
    assert grid_shape(1024) == (3, 2)
    assert grid_shape(4) == (16, 9)
