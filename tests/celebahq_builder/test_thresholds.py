"""Thresholds: what a photo's face is refused for, and that its row alone tells the same."""

from dataclasses import replace

import numpy as np
import pytest

from celebahq_builder.config import BuildConfig
from celebahq_builder.process_photo import Task, process_photo
from celebahq_builder.sources.input_photos import FileStamp
from celebahq_builder.thresholds import fulfils

LANDMARKS = np.array([(60, 60), (100, 60), (80, 82), (63, 101), (97, 101)], np.float32)
CONFIG = BuildConfig(input="x", landmarks="list.txt", resolution=16, restore="off", max_invented=1.0)
STAMP = FileStamp(1, 1)


def row_of(config, landmarks, png):
    photo = png(np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8))
    (row,) = process_photo(Task("a.png", config, landmarks), STAMP, photo).rows
    return row


@pytest.mark.parametrize(
    ("options", "shift", "reason"),
    [
        ({"min_face": 41.0}, 0, "face too small"),
        ({"max_padding": 0.1}, 40, "too much padding"),
        ({"max_invented": 0.05}, 55, "cut by the edge of the photo"),
    ],
)
def test_refused_face_keeps_its_numbers_and_the_row_of_a_used_one_tells_what_would_refuse_it(
    png, options, shift, reason
):
    landmarks = LANDMARKS + np.float32([shift, 0])
    used, strict = row_of(CONFIG, landmarks, png), replace(CONFIG, **options)
    refused = row_of(strict, landmarks, png)
    assert (used.status, used.num_judged, refused.status, refused.num_judged) == ("aligned", 0, "refused", 1)
    assert refused.reason == reason
    for name in ("landmarks", "quad", "scale", "padding", "invented", "face_index", "width"):
        assert getattr(refused, name) == getattr(used, name), name
    assert fulfils(used, CONFIG) and not fulfils(used, strict)
    assert not fulfils(replace(used, padding=None), CONFIG), "of a manifest of before, which did not know it"


def test_photo_without_a_face_has_index_minus_one(png):
    row = row_of(CONFIG, None, png)
    assert (row.reason, row.face_index, row.num_judged) == ("not in the list of landmarks", -1, 0)
