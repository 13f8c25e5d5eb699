"""Which five points can be those of a face, and of how large a one."""

import numpy as np
import pytest

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.landmarks import check_landmarks

# A face seen from the front, as CelebA's mean: eyes 40 px apart.
UPRIGHT = np.array([(100, 100), (140, 100), (120, 122), (103, 141), (137, 141)], np.float32)
SHAPE = (300, 300, 3)


def refusal(landmarks: np.ndarray, shape=SHAPE, min_face: float = 20.0, **options) -> UnusablePhotoError:
    with pytest.raises(UnusablePhotoError) as refused:
        check_landmarks(landmarks, shape, min_face, **options)
    return refused.value


def test_an_upright_face_passes():
    check_landmarks(UPRIGHT, SHAPE, 20)
    check_landmarks(UPRIGHT, SHAPE, 20, detected=True)


@pytest.mark.parametrize("degrees", range(0, 360, 45))
def test_a_turned_face_passes(degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    check_landmarks((UPRIGHT - 120) @ turn.T + 120, SHAPE, 20, detected=True)


def test_swapped_left_and_right_are_refused():
    assert refusal(UPRIGHT[[1, 0, 2, 4, 3]]).reason == "implausible landmarks"
    assert "swapped" in refusal(UPRIGHT[[1, 0, 2, 4, 3]]).detail


def test_points_that_are_no_face_are_refused():
    nan = UPRIGHT.copy()
    nan[2, 0] = np.nan
    assert "not a number" in refusal(nan).detail
    assert "equal" in refusal(np.repeat(UPRIGHT[:1], 5, axis=0)).detail
    sheared = np.add(UPRIGHT, [[0, 0], [0, 0], [0, 0], [60, 0], [60, 0]])
    assert refusal(sheared).reason == "implausible landmarks"
    assert refusal(UPRIGHT * [1, 0.02]).reason == "implausible landmarks"


def test_points_outside_the_photo_are_refused_but_not_a_pixel_beside_it():
    assert refusal(UPRIGHT, (300, 130, 3)).reason == "landmarks outside the photo"
    assert refusal(UPRIGHT - [0, 120]).detail == "by 19.5 px of 300x300"
    check_landmarks(UPRIGHT - [101, 0], SHAPE, 20)


def test_size_is_the_distance_between_the_eyes_seen_from_the_front():
    assert refusal(UPRIGHT, min_face=41).detail == "eyes 40.0 px apart, expected at least 41"
    assert refusal(UPRIGHT * 0.9996, min_face=40).detail == "eyes 39.98 px apart, expected at least 40", "not 40.0"
    check_landmarks(UPRIGHT, SHAPE, 40)
    aside = (UPRIGHT - 120) * [0.5, 1] + 120  # half turned away: the eyes are 20 px apart, the face is as large
    check_landmarks(aside, SHAPE, 36)


def test_profiles_are_refused_of_dlib_and_accepted_of_people():
    profile = np.add(UPRIGHT, [[0, 0], [-15, 0], [25, 0], [0, 0], [-15, 0]])
    check_landmarks(profile, SHAPE, 20)
    assert refusal(profile, detected=True).reason == "profile"
    narrow = (UPRIGHT - 120) * [0.4, 1] + 120
    check_landmarks(narrow, SHAPE, 20)
    assert refusal(narrow, detected=True).reason == "profile"
