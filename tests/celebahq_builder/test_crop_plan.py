"""The arithmetic of a crop, against the released program's own figures."""

import json

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.align import face_quad
from celebahq_builder.crop_plan import plan_crop

SQUARE = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], dtype=np.float64)


@pytest.mark.parametrize("name", ["astronaut", "padded", "tiny", "huge"])
def test_every_stage_of_the_released_program_is_met_to_the_last_bit(real_data, name):
    case = json.loads((real_data / "crop_vectors" / "vectors.json").read_text())[name]
    released = case["released"]
    width, height = Image.open(real_data / "crop_vectors" / f"{name}.input.png").size
    quad = face_quad(np.array(case["landmarks"]), "released")
    plan = plan_crop((width * case["repeat"], height * case["repeat"]), quad, 1024, "released")

    assert plan.shrink == max(released["shrink_value"], 1)
    assert list(plan.shrunk_size) == released["shrink"]["size"]
    assert plan.border == released["border_value"]
    assert list(plan.crop) == released["crop_value"]
    assert plan.enlarge == max(released["superres_value"], 1)
    if released["padded"]:
        assert list(plan.pad) == released["pad_value"]
    else:
        assert (plan.pad, list(plan.overhang)) == ((0, 0, 0, 0), released["pad_value"])
    left, top, right, bottom = plan.crop
    size = np.array([right - left, bottom - top]) * plan.enlarge
    assert size.tolist() == released["superres"]["size"]
    assert (size + plan.pad[:2] + plan.pad[2:]).tolist() == released["pad"]["size"]

    stages = {
        "quad": (stage := quad),
        "shrink": (stage := stage / plan.shrink),
        "crop": (stage := stage - np.float32(plan.crop[:2])),
        "superres": (stage := stage * plan.enlarge),
        "pad": plan.quad,
    }
    for key, stage in stages.items():
        assert stage.dtype == np.float32
        np.testing.assert_array_equal(stage, np.float32(released[key]["quad"]), err_msg=key)
    assert 1024 / plan.side == pytest.approx(released["pad"]["zoom"], rel=1e-6)


@pytest.mark.parametrize("geometry", ["paper", "ffhq"])
def test_only_released_simulates_super_resolution(geometry):
    quad = SQUARE * 100 + 100
    assert plan_crop((300, 300), quad, 1024, "released").enlarge == 16
    assert plan_crop((300, 300), quad, 1024, geometry).enlarge == 1


@pytest.mark.parametrize(("side", "enlarge"), [(128, 8), (127.9, 16), (1024, 1), (1023, 2), (3000, 1)])
def test_enlarged_box_has_between_one_and_two_outputs(side, enlarge):
    assert plan_crop((4000, 4000), SQUARE * side + 500, 1024, "released").enlarge == enlarge


@pytest.mark.parametrize(("side", "shrink"), [(4095, 1), (4096, 2), (6143, 2), (6144, 3)])
def test_box_of_four_outputs_is_made_smaller_by_a_whole_factor(side, shrink):
    assert plan_crop((9000, 9000), SQUARE * side + 1000, 1024).shrink == shrink


def test_plan_scales_with_the_resolution():
    large = plan_crop((4000, 4000), SQUARE * 1600 - 80, 1024)
    small = plan_crop((1000, 1000), (SQUARE * 1600 - 80) / 4, 256)
    assert np.array(large.pad).tolist() == (np.array(small.pad) * 4).tolist()
    assert (large.shrink, large.blur_px) == (small.shrink, small.blur_px * 4)


def test_a_box_four_pixels_inside_is_not_extended_and_one_closer_is():
    assert plan_crop((300, 300), SQUARE * 200 + 4, 1024).pad == (0, 0, 0, 0)
    assert plan_crop((300, 300), SQUARE * 200 + 3, 1024).pad == (60, 60, 60, 60)


def test_extended_image_holds_the_box_and_its_border():
    plan = plan_crop((300, 200), SQUARE * 250 - 90, 1024)
    width = plan.pad[0] + plan.crop[2] - plan.crop[0] + plan.pad[2]
    height = plan.pad[1] + plan.crop[3] - plan.crop[1] + plan.pad[3]
    assert plan.quad.min() >= plan.border
    assert (plan.quad.max(axis=0) <= np.array([width, height]) - plan.border).all()


def test_a_box_outside_the_photo_is_refused():
    with pytest.raises(
        ValueError, match=r"got x 400\.\.500, y 0\.\.100, expected part of it inside the photo of 300 x 300"
    ):
        plan_crop((300, 300), SQUARE * 100 + [400, 0], 1024)


@pytest.mark.parametrize("side", [0, 0.5, np.nan])
def test_a_box_smaller_than_a_pixel_is_refused(side):
    with pytest.raises(ValueError, match="expected at least 1"):
        plan_crop((300, 300), SQUARE * side, 1024)
