"""The square of Appendix C, for any face, in the three geometries (align.face_quad)."""

import numpy as np
import pytest

from celebahq_builder.align import GEOMETRIES, face_quad

EYES, EYE_TO_MOUTH = 60.0, 50.0  # a symmetric face: between the eyes, and from the eyes down to the mouth, pixels
SIDE = max(4.0 * EYES, 3.6 * EYE_TO_MOUTH)
UPRIGHT = np.array([[-EYES / 2, 0], [EYES / 2, 0], [0, 20], [-25, EYE_TO_MOUTH], [25, EYE_TO_MOUTH]])
ANGLES = [0, 17, 200, -61.5]


def rotation(degrees: float) -> np.ndarray:
    """Clockwise as seen on the screen: y points down."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def test_upright_face_has_an_upright_square_of_four_eye_distances():
    left, top = -SIDE / 2 + 0.5, -SIDE / 2 + 0.1 * EYE_TO_MOUTH + 0.5
    expected = np.array([[0, 0], [0, SIDE], [SIDE, SIDE], [SIDE, 0]]) + np.array([left, top])
    np.testing.assert_allclose(face_quad(UPRIGHT), expected)


def test_long_face_has_a_square_of_3_6_eye_to_mouth_distances():
    quad = face_quad(UPRIGHT * [0.5, 2])
    assert np.linalg.norm(quad[3] - quad[0]) == pytest.approx(3.6 * 2 * EYE_TO_MOUTH)


def test_square_is_that_of_appendix_c_for_any_face():
    for landmarks in np.random.default_rng(0).normal(UPRIGHT + 300, 8, (50, 5, 2)):
        e0, e1, _, m0, m1 = landmarks + 0.5
        x1, y1 = e1 - e0, (e0 + e1) / 2 - (m0 + m1) / 2
        c, s = (e0 + e1) / 2 - 0.1 * y1, max(4.0 * np.hypot(*x1), 3.6 * np.hypot(*y1))
        x = x1 - [y1[1], -y1[0]]
        x = x / np.hypot(*x) * s / 2
        y = np.array([x[1], -x[0]])
        np.testing.assert_allclose(face_quad(landmarks), [c - x + y, c - x - y, c + x - y, c + x + y])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("degrees", ANGLES)
def test_square_turns_with_the_face(geometry, degrees):
    half = 0.0 if geometry == "ffhq" else 0.5  # pixel indices are not what is turned: their centres are
    turned = face_quad((UPRIGHT + half) @ rotation(degrees).T - half, geometry)
    np.testing.assert_allclose(turned, face_quad(UPRIGHT, geometry) @ rotation(degrees).T, rtol=0, atol=1e-4)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_square_moves_and_grows_with_the_face(geometry):
    half = 0.0 if geometry == "ffhq" else 0.5
    grown = face_quad((UPRIGHT + half) * 3 + [200, 90] - half, geometry)
    np.testing.assert_allclose(grown, face_quad(UPRIGHT, geometry) * 3 + [200, 90], rtol=0, atol=1e-3)


def test_geometries_differ_by_half_a_pixel_and_float32():
    np.testing.assert_allclose(face_quad(UPRIGHT, "paper") - 0.5, face_quad(UPRIGHT, "ffhq"))
    np.testing.assert_allclose(face_quad(UPRIGHT, "released"), face_quad(UPRIGHT, "paper"), rtol=0, atol=1e-4)
    assert [face_quad(UPRIGHT, g).dtype.name for g in GEOMETRIES] == ["float64", "float32", "float64"]


def test_swapped_labels_turn_a_wide_face_upside_down():
    # Why landmarks are checked before they come here: no error, but a square that stands on its head.
    quad = face_quad(UPRIGHT[[1, 0, 2, 4, 3]])
    right, down = quad[3] - quad[0], quad[1] - quad[0]
    assert right[0] == pytest.approx(-SIDE)
    assert down[1] == pytest.approx(-SIDE)


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (UPRIGHT * np.nan, "landmarks: got some that are not finite"),
        (np.where(UPRIGHT > 0, np.inf, UPRIGHT), "landmarks: got some that are not finite"),
        (UPRIGHT * 0, "landmarks: eyes and mouth in one place"),
        (UPRIGHT[:4], r"landmarks: got shape \(4, 2\), expected \(5, 2\)"),
    ],
)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_landmarks_without_a_square_are_refused(landmarks, message, geometry):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        face_quad(landmarks, geometry)


def test_unknown_geometry_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="geometry: got 'celeba', expected one of paper, released, ffhq"):
        face_quad(UPRIGHT, "celeba")
