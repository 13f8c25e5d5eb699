"""The released program's crop: its own stages as recorded, and each of our fast stages against a plain form of it."""

import hashlib
import json
import math

import numpy as np
import pytest
import scipy.ndimage

from celebahq_builder.align import align_face
from celebahq_builder.crop_plan import plan_crop
from celebahq_builder.released.lanczos_float32 import lanczos_taps, resize
from celebahq_builder.released.libjpeg8d import decode_libjpeg8d
from celebahq_builder.released.padding import extend_released
from celebahq_builder.released.plan import released_box
from celebahq_builder.released.warp import sample_released

F = np.float32


def md5(image: np.ndarray) -> str:
    return hashlib.md5(np.ascontiguousarray(image).tobytes()).hexdigest()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


# As the released program itself recorded it.


@pytest.mark.parametrize("name", ["plain_420_8x", "padded_progressive", "full_444_32x"])
def test_jpeg_and_crop_have_the_released_programs_md5(real_data, name):
    folder = real_data / "official_vectors"
    case = json.loads((folder / "vectors.json").read_text())[name]
    landmarks = F(case["landmarks"])
    photo = decode_libjpeg8d((folder / f"{name}.jpg").read_bytes())
    assert md5(photo) == case["decoded_md5"]
    assert md5(align_face(photo, landmarks, 1024, "released").transpose(2, 0, 1)) == case["proc_md5"]


def test_box_and_plan_of_a_hundred_faces_are_the_released_programs_to_the_last_bit(real_data):
    cases = json.loads((real_data / "official_vectors" / "oracle_104.json").read_text())
    for case in cases:
        quad, side = released_box(F(case["lm"]))
        stages, values = case["stages"], case["stages"]["values"]
        np.testing.assert_array_equal(quad, F(stages["quad"]["quad"]))
        assert 1024 / side == stages["quad"]["zoom"]
        plan = plan_crop(tuple(stages["quad"]["size"]), quad, 1024, "released", side)
        found = (plan.border, list(plan.crop), plan.enlarge)
        assert found == (values["border"], values["crop"], max(values["superres"], 1)), case["file"]
        np.testing.assert_array_equal(plan.quad, F(stages["pad"]["quad"]))
        if any(plan.pad):
            assert (list(plan.pad), plan.blur_px) == (values["pad"], values["blur"])


def test_photographs_from_jpeg_to_crop_have_the_released_programs_md5(real_data):
    for case in json.loads((real_data / "official_vectors" / "oracle_104.json").read_text())[::52]:
        photo = decode_libjpeg8d((real_data / "in_the_wild" / case["file"]).read_bytes())
        face = align_face(photo, F(case["lm"]), 1024, "released")
        assert md5(face.transpose(2, 0, 1)) == case["md5"], case["file"]


# Against the same stages written down plainly.


def plain_taps(size_in: int, size_out: int, i: int) -> tuple[int, list]:
    scale = F(size_in) / F(size_out)
    stretch = max(scale, F(1))
    support, inverse = F(3) * stretch, F(1.0 / float(stretch))
    centre = F((i + 0.5) * float(scale))
    first, end = max(math.floor(F(centre - support)), 0), min(math.ceil(F(centre + support)), size_in)

    def sinc(x):
        b = F(float(x) * math.pi)
        return F(1) if b == 0 else F(math.sin(float(b)) / float(b))

    weights, total = [], F(0)
    for j in range(first, end):
        x = F((float(F(j) - centre) + 0.5) * float(inverse))
        weights.append(F(F(sinc(x) * sinc(F(x / F(3)))) * inverse) if -3 <= x < 3 else F(0))
        total = F(total + weights[-1])
    return first, [F(w / total) for w in weights]


def plain_resize_line(line: np.ndarray, size: int) -> np.ndarray:
    out = np.empty(size, np.uint8)
    for i in range(size):
        first, weights = plain_taps(len(line), size, i)
        total = F(0.5)
        for value, weight in zip(line[first:], weights, strict=False):
            total = F(total + F(F(value) * weight))
        out[i] = int(min(max(total, 0), 255))
    return out


@pytest.mark.parametrize("size", [(40, 24), (7, 5), (23, 12), (3, 30)])
def test_resizing_equals_single_precision_tap_after_tap(size):
    image = noise(12, 20)
    across = np.stack([[plain_resize_line(row[:, c], size[0]) for c in range(3)] for row in image])
    expected = np.stack([[plain_resize_line(across[:, c, x], size[1]) for c in range(3)] for x in range(size[0])])
    np.testing.assert_array_equal(resize(image, size), expected.transpose(2, 0, 1))


def test_a_part_of_a_resized_image_is_cut_from_the_whole():
    image = noise(60, 90)
    np.testing.assert_array_equal(resize(image, (31, 20), (4, 3, 29, 17)), resize(image, (31, 20))[3:17, 4:29])


def test_weights_of_an_axis_sum_to_one():
    for sizes in ((4096, 1024), (5184, 1728), (271, 2168)):
        np.testing.assert_allclose(lanczos_taps(*sizes).weights.sum(axis=1), 1, atol=1e-6)


def plain_extend(photo: np.ndarray, pad: tuple, blur_px: float) -> np.ndarray:
    left, top, right, bottom = pad
    image = np.pad(F(photo), ((top, bottom), (left, right), (0, 0)), "reflect")
    h, w = image.shape[:2]
    y, x, _ = np.ogrid[:h, :w, :1]
    across = np.minimum(F(x) / F(left), F(w - 1 - x) / F(right))
    mask = F(1) - np.minimum(across, np.minimum(F(y) / F(top), F(h - 1 - y) / F(bottom)))
    blurred = np.stack([scipy.ndimage.gaussian_filter(image[..., c], blur_px) for c in range(3)], axis=-1)
    image += (blurred - image) * np.clip(mask * F(3) + F(1), 0, 1)
    image += (np.median(image, axis=(0, 1)) - image) * np.clip(mask, 0, 1)
    return np.uint8(np.clip(np.rint(image), 0, 255))


@pytest.mark.parametrize(
    ("size", "pad"),
    [((40, 50), (30, 20, 25, 31)), ((40, 50), (7, 5, 6, 5)), ((9, 5), (30, 30, 30, 30)), ((1, 6), (4, 4, 4, 4))],
)
def test_padding_equals_numpy_and_scipy(size, pad):
    np.testing.assert_array_equal(extend_released(noise(*size), pad, 3.7), plain_extend(noise(*size), pad, 3.7))


def plain_warp(image: np.ndarray, quad: np.ndarray, size: int) -> np.ndarray:
    nw, sw, se, ne = quad + F(0.5)
    ax, ay = (
        [float(v[k]) for v in (nw, (ne - nw) / size, (sw - nw) / size, (((se - sw) - ne) + nw) / size / size)]
        for k in (0, 1)
    )
    out = np.empty((size, size, 3), np.uint8)
    for y in range(size):
        for x in range(size):
            u, v = (((a[0] + a[1] * x) + a[2] * y) + (a[3] * x) * y - 0.5 for a in (ax, ay))
            i, j = math.floor(u), math.floor(v)
            p = image[j : j + 2, i : i + 2].astype(float)
            row = p[:, 0] + (p[:, 1] - p[:, 0]) * (u - i)
            out[y, x] = np.trunc(row[0] + (row[1] - row[0]) * (v - j))
    return out


@pytest.mark.parametrize("resolution", [4, 16])
def test_fused_warp_equals_warping_and_then_resizing(resolution):
    image, quad = noise(60, 70), F([[12.3, 9.1], [6.2, 41.7], [38.8, 47.8], [44.9, 15.2]])
    quad[2] += F(0.25)  # float32 corners are never quite a square
    expected = resize(plain_warp(image, quad, 4 * resolution), (resolution, resolution))
    np.testing.assert_array_equal(sample_released(image, quad, resolution), expected)
