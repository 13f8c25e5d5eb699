"""What is restored around a face: as much as its crop needs, in its place, and enlarged only where that helps."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from celebahq_builder import restore
from celebahq_builder.align import align_face, crop_face, plan_face
from celebahq_builder.quality import quality_score
from celebahq_builder.restore import remove_artifacts
from celebahq_builder.restore_face import restore_crop, restore_face

ASTRONAUT = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild" / "astronaut.png"
# By eye, on the image.
LANDMARKS = np.array([[204.0, 108.0], [247.0, 107.0], [224.0, 130.0], [208.0, 150.0], [245.0, 149.0]])


@pytest.fixture(scope="module")
def photo():
    """The astronaut as a JPEG of quality 30."""
    stream = io.BytesIO()
    Image.open(ASTRONAUT).convert("RGB").save(stream, "JPEG", quality=30)
    return np.asarray(Image.open(stream).convert("RGB"))


@pytest.fixture(scope="module")
def enlarged(photo):
    return restore_face(photo, LANDMARKS, size="fast")


def test_part_around_the_face_is_what_restoring_the_whole_photo_gives(photo, enlarged):
    whole = remove_artifacts(photo, "fast", "cpu").astype(int)
    changed = (enlarged.clean != photo).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    assert np.abs(enlarged.clean[part] - whole[part]).max() <= 1
    assert changed.mean() < 0.5  # the rest is as it was: it would be work for nothing
    assert changed[rows[0] : rows[-1], columns[0] : columns[-1]].mean() > 0.5


def test_part_around_the_face_is_what_restoring_the_whole_photo_with_self_ensemble_gives(photo):
    photo = photo[:398, :401]  # whose cells lie elsewhere from the right and from below
    whole = remove_artifacts(photo, "fast", "cpu", ensemble=True).astype(int)
    done = restore_face(photo, LANDMARKS, size="fast", resolution=128, ensemble=True)
    changed = (done.clean != photo).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    assert np.abs(done.clean[part] - whole[part]).max() <= 1 and changed.mean() < 0.9
    alone = restore_face(photo, LANDMARKS, size="fast", resolution=128)
    assert np.abs(alone.clean[part] - whole[part]).max() > 1


@pytest.mark.parametrize("geometry", ["paper", "released", "ffhq"])
def test_restored_face_lies_where_it_lay(photo, geometry):
    done = restore_face(photo, LANDMARKS, size="fast", geometry=geometry)
    assert done.enlarged
    before = align_face(photo, LANDMARKS, 1024, geometry)
    after = align_face(done.photo, done.landmarks, 1024, geometry)
    gray = [cv2.GaussianBlur(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (0, 0), 4) for face in (before, after)]
    gray = [face[200:-200, 200:-200].astype(np.float32) for face in gray]
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-7)
    _, shift = cv2.findTransformECC(*gray, np.eye(2, 3, dtype=np.float32), cv2.MOTION_TRANSLATION, until)
    assert np.abs(shift[:, 2]).max() < 0.1  # pixels of the face, of which six are one of the photo
    colours = [face.mean(axis=(0, 1)) for face in (before, after)]
    assert np.abs(colours[0] - colours[1]).max() < 1


def test_face_of_nearly_as_many_pixels_as_the_crop_is_interpolated(photo):
    """The box has 172 pixels, 0.67 of 256: nothing is enlarged, and the crop is sharper than bilinear samples are."""
    done = restore_face(photo, LANDMARKS, size="fast", resolution=256)
    assert done.enlarged
    face, plain = align_face(done.photo, done.landmarks, 256), align_face(done.clean, LANDMARKS, 256)
    lanczos = np.asarray(Image.fromarray(done.clean).resize((4 * 512, 4 * 512), Image.Resampling.LANCZOS))
    wanted = align_face(lanczos, (LANDMARKS + 0.5) * 4 - 0.5, 256)
    assert np.abs(face.astype(int) - wanted).mean() < 0.5  # Pillow's has three lobes, OpenCV's four
    fine = [cv2.Laplacian(image.astype(np.float32), cv2.CV_32F).var() for image in (face, plain)]
    assert fine[0] > 1.3 * fine[1]


def test_face_with_as_many_pixels_as_the_crop_is_not_enlarged(photo):
    done = restore_face(photo, LANDMARKS, size="fast", resolution=128)
    assert not done.enlarged and done.photo is done.clean and done.photo.shape == photo.shape
    assert np.array_equal(done.landmarks, LANDMARKS)


def test_face_at_the_edge_is_extended_as_before(photo):
    """The box leaves the photo above; the mirror padding starts from restored pixels."""
    cut, landmarks = photo[60:], LANDMARKS - (0, 60)
    done = restore_face(cut, landmarks, size="fast")
    before, after = align_face(cut, landmarks), align_face(done.photo, done.landmarks)
    small = [cv2.resize(face, (64, 64), interpolation=cv2.INTER_AREA).astype(float) for face in (before, after)]
    assert np.abs(small[0] - small[1]).mean() < 2  # 1.4 by the PSNR network: what artifact removal changes
    shifted = align_face(cut, landmarks + np.array((3, 0)))
    assert np.abs(cv2.resize(shifted, (64, 64), interpolation=cv2.INTER_AREA) - small[0]).mean() > 4


def test_detail_that_super_resolution_painted_is_not_rewarded(enlarged):
    """The larger photo's face ranks above its reduction, by the score that the builder takes."""
    original = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    small = cv2.resize(original, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    reduced = restore_face(small, (LANDMARKS + 0.5) / 2 - 0.5, size="fast")
    scores = [
        quality_score(align_face(done.clean, landmarks)).score
        for done, landmarks in ((enlarged, LANDMARKS), (reduced, (LANDMARKS + 0.5) / 2 - 0.5))
    ]
    enlarged = quality_score(align_face(reduced.photo, reduced.landmarks)).score
    assert scores[1] < scores[0]
    assert scores[1] < enlarged


@pytest.mark.parametrize(
    ("geometry", "resolution"),  # the network's, interpolated, as it is, shrunk twice
    [("paper", 1024), ("paper", 256), ("paper", 128), ("paper", 32), ("ffhq", 256)],
)
@pytest.mark.parametrize("shift", [(0, 0), (0, -60)])  # or padded
def test_what_the_crop_does_not_look_at_is_not_restored_and_the_face_is_the_same(
    photo, geometry, resolution, shift, monkeypatch
):
    """By stand-ins for the networks that see as far as these."""
    worked_on = []

    def stand_in(network, images, rounded=True):
        worked_on.append(images[..., 0].size)
        scale = 4 if hasattr(network, "network") else 1
        made = [cv2.blur(255 - image, (9, 9)).repeat(scale, axis=0).repeat(scale, axis=1) for image in images]
        return np.stack(made)

    monkeypatch.setattr(restore, "forward", stand_in)
    photo, landmarks = photo[-shift[1] :], LANDMARKS + shift
    crop = plan_face(photo.shape[1::-1], landmarks, resolution, geometry)
    faces, work = [], []
    for for_showing in (True, False):
        del worked_on[:]
        done = restore_crop(photo, crop, size="fast", for_showing=for_showing)
        faces.append((crop_face(done.photo, done.crop), crop_face(done.clean, crop)))
        work.append(sum(worked_on))
    assert all(np.array_equal(shown, made) for shown, made in zip(*faces, strict=True))
    assert work[1] < work[0] if geometry == "paper" and not any(crop.plan.pad) else work[1] == work[0]
