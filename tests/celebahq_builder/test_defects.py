"""Defects that are no matter of the spectrum: holes in the histogram, blocks of 8 pixels, levels of the face."""

import numpy as np
import pytest

from celebahq_builder.defects import block_grid, histogram_fill, oval, oval_levels, overshoot

RAMP = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)


def test_sixteen_levels_leave_holes_and_all_levels_do_not():
    assert histogram_fill(RAMP) > 0.9
    assert histogram_fill(RAMP // 16 * 16) < 0.1


def test_the_least_filled_channel_counts_and_only_where_the_mask_says():
    face, mask = RAMP.copy(), np.ones((256, 256), bool)
    face[:100, :, 1] = face[:100, :, 1] // 64 * 64
    mask[:100] = False
    assert histogram_fill(face) < histogram_fill(face, mask) - 0.1
    assert histogram_fill(face, mask) > 0.9


@pytest.mark.parametrize("shift", [0, 3])
def test_blocks_of_eight_pixels_are_seen_wherever_they_begin(shift):
    blocks = np.random.default_rng(0).normal(128, 20, (32, 32)).repeat(8, 0).repeat(8, 1).astype(np.float32)
    soft = np.random.default_rng(1).normal(0, 2, (256, 256)).astype(np.float32)
    assert block_grid(np.roll(blocks + soft, shift, (0, 1))) > 3
    assert block_grid(soft) < 1.1
    bars = np.random.default_rng(0).normal(128, 20, 32).repeat(8).astype(np.float32) + soft
    assert block_grid(bars) < 1.1  # one direction alone


def test_levels_are_those_of_the_oval_and_a_hidden_part_has_no_contrast():
    luma = np.zeros((128, 128), np.float32)
    luma[oval(128)] = np.linspace(0, 100, oval(128).sum())
    assert oval_levels(luma) == pytest.approx([5, 95], abs=0.1)
    mask = np.ones((128, 128), bool)
    mask[:, :64] = False
    low, high = oval_levels(luma, mask)
    assert high - low < 60


def test_edges_driven_to_black_and_white_are_seen_and_dark_areas_are_not():
    rng = np.random.default_rng(0)
    edges = np.clip(rng.normal(128, 60, (128, 128)), 20, 235).astype(np.uint8)[..., None].repeat(3, 2)
    driven = np.where(rng.random((128, 128, 1)) < 0.2, np.where(edges < 128, 0, 255), edges).astype(np.uint8)
    dark = edges.copy()
    dark[:64] = 0
    luma = [face.astype(np.float32).mean(axis=2) for face in (edges, driven, dark)]
    assert overshoot(edges, luma[0]) == overshoot(dark, luma[2]) == 0
    assert overshoot(driven, luma[1]) > 0.1
    mask = np.zeros((128, 128), bool)
    mask[:, 64:] = True
    half = np.where(mask[..., None], edges, driven)
    assert overshoot(half, half.astype(np.float32).mean(axis=2), mask) == 0


def test_hair_before_a_white_wall_is_not_oversharpened():
    gray = np.random.default_rng(0).integers(40, 200, (128, 128, 1)).repeat(3, axis=2).astype(np.uint8)
    wall = np.where(oval(128)[..., None], gray, np.where(np.arange(128)[:, None] % 7 < 3, 30, 255)[..., None]).astype(
        np.uint8
    )
    assert overshoot(wall, wall.astype(np.float32).mean(axis=2)) == 0
