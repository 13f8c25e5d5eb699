"""Tiles: every pixel is made once, and as if the image had been worked on whole."""

import cv2
import numpy as np
import pytest

from celebahq_builder.tiles import CELL, run_tiled, windows


@pytest.mark.parametrize("length", [1, 3, 4, 95, 96, 97, 151, 5000])
@pytest.mark.parametrize("tile", [8, 96, 384])
def test_parts_cover_an_axis_once_and_begin_on_cells(length, tile):
    parts = windows(length, tile, 12)
    covered = [at for (begin, end), _ in parts for at in range(begin, end)]
    assert covered == list(range(length))
    for (begin, end), (shown, shown_end) in parts:
        assert begin % CELL == shown % CELL == 0
        assert end - begin <= 1.5 * tile + CELL
        assert (shown, shown_end) == (max(begin - 12, 0), min(end + 12, length))


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (61, 83), (200, 130)])
@pytest.mark.parametrize(("tile", "batch"), [(8, 1), (40, 3), (1000, 2)])
def test_tiles_with_their_margin_give_what_the_whole_gives(size, tile, batch):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)

    def blur_and_double(images):
        assert len(images) <= batch
        blurred = [cv2.blur(image, (9, 9), borderType=cv2.BORDER_CONSTANT) for image in images]
        return np.stack(blurred).repeat(2, axis=1).repeat(2, axis=2)

    made = run_tiled(blur_and_double, image, scale=2, tile=tile, margin=4, batch=batch)
    assert np.array_equal(made, blur_and_double(image[None])[0])


def test_memory_for_a_tile_does_not_grow_with_the_image():
    seen = []

    def remember(images):
        seen.append(images.shape)
        return images

    run_tiled(remember, np.zeros((900, 1300, 3), np.uint8), scale=1, tile=96, margin=12)
    assert max(h * w for _, h, w, _ in seen) <= (1.5 * 96 + CELL + 24) ** 2
