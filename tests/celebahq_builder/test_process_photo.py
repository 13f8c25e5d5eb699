"""One photo through its stages: what a face is scored by."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from celebahq_builder import align, restore_face
from celebahq_builder.align import align_face, face_quad, plan_face
from celebahq_builder.config import BuildConfig
from celebahq_builder.coverage import inside_photo
from celebahq_builder.process_photo import Task, process_photo
from celebahq_builder.quality import quality_score
from celebahq_builder.sources.input_photos import FileStamp
from celebahq_builder.state.waiting_faces import decode_face

LANDMARKS = np.array([(60, 60), (100, 60), (80, 82), (63, 101), (97, 101)], np.float32)


def test_face_is_scored_without_the_detail_that_super_resolution_invented(tmp_path, monkeypatch, png):
    """It makes a small face sharp, which is no merit of the photo: the face that is kept is not the one scored."""
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
    clean = photo // 2
    enlarged = rng.integers(0, 256, (640, 640, 3), dtype=np.uint8)

    def restore_for(config, photo, crop, for_showing):
        in_enlarged = plan_face((640, 640), crop.landmarks * 4, crop.resolution, crop.geometry)
        return SimpleNamespace(photo=enlarged, crop=in_enlarged, clean=clean, enlarged=True)

    monkeypatch.setattr(restore_face, "restore_for", restore_for)
    config = BuildConfig(input=tmp_path, landmarks=tmp_path / "list.txt", resolution=64, restore="fast")
    result = process_photo(Task("a.png", config, LANDMARKS), FileStamp(1, 1), png(photo))
    (row,) = result.rows
    kept = decode_face(result.faces[0])
    np.testing.assert_array_equal(kept, align_face(enlarged, LANDMARKS * 4, 64))
    shown = inside_photo(face_quad(LANDMARKS), (photo.shape[1], photo.shape[0]), 64)
    assert row.score == float(quality_score(align_face(clean, LANDMARKS, 64), shown).score)
    assert row.padding == pytest.approx(1 - shown.mean(), abs=0.01)
    assert row.score != float(quality_score(kept).score)


def test_square_of_a_face_is_computed_to_judge_to_crop_and_once_more_where_it_is_enlarged(tmp_path, monkeypatch, png):
    computed, box = [], align._box

    def counted(landmarks, geometry):
        computed.append(landmarks)
        return box(landmarks, geometry)

    monkeypatch.setattr(align, "_box", counted)
    photo = png(np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8))
    for restore, resolution, times in (("off", 64, 2), ("fast", 64, 2), ("fast", 256, 3)):
        computed.clear()
        config = BuildConfig(input=tmp_path, landmarks=tmp_path / "l.txt", resolution=resolution, restore=restore)
        config = replace(config, device="cpu")
        assert process_photo(Task("a.png", config, LANDMARKS), FileStamp(1, 1), photo).faces
        assert len(computed) == times, (restore, resolution)
