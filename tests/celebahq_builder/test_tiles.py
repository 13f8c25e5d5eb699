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


@pytest.mark.parametrize("part", [(0, 0, 90, 70), (13, 7, 90, 71), (30, 30, 31, 31)])
@pytest.mark.parametrize("tile", [8, 40, 1000])
def test_a_part_is_what_the_whole_gives_there_and_no_more_is_worked_on(part, tile):
    image = np.random.default_rng(0).integers(1, 256, (83, 131, 3), dtype=np.uint8)
    worked_on = []

    def blur(images):
        worked_on.append(images[0].size // 3)
        return np.stack([cv2.blur(image, (9, 9), borderType=cv2.BORDER_CONSTANT) for image in images])

    (left, top, right, bottom), whole = part, blur(image[None])[0]
    del worked_on[:]
    made = run_tiled(blur, image, scale=1, tile=tile, margin=4, part=part)
    assert np.array_equal(made[top:bottom, left:right], whole[top:bottom, left:right])
    assert not made[bottom:].any() and not made[:, right:].any() and not made[: top - top % CELL].any()
    assert tile < 1000 or worked_on == [min(sum(worked_on), (right - left + 3 + 8) * (bottom - top + 3 + 8))]
