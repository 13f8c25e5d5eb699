"""Photographs that the report decodes again."""

import io

import numpy as np
from PIL import Image

from celebahq_builder.config import BuildConfig
from celebahq_builder.photos import decode_with_orientation
from celebahq_builder.process_photos import limits
from celebahq_builder.report import photos
from celebahq_builder.report.images import photo_image
from celebahq_builder.report.photos import PhotoTask, make_images
from celebahq_builder.state.manifest import Row


def test_a_photo_is_shown_by_the_decoder_that_the_build_used(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(noise).save(encoded, "JPEG", quality=90)
    (tmp_path / "a.jpg").write_bytes(encoded.getvalue())
    shown = {}
    for decoder in ("default", "libjpeg8d"):
        config = BuildConfig(input=tmp_path, decoder=decoder)
        size = len(encoded.getvalue())
        row = Row(source="a.jpg", source_bytes=size, source_mtime_ns=0, status="refused", width=40, height=32)
        [(_, shown[decoder])] = make_images(PhotoTask("a.jpg", config, row, None))
        assert shown[decoder] == photo_image(decode_with_orientation(encoded.getvalue(), decoder=decoder)[0])
    assert shown["default"] != shown["libjpeg8d"]


def test_images_come_in_the_order_of_their_rows_whichever_worker_was_first(tmp_path, monkeypatch):
    facts = {"source_bytes": 1, "source_mtime_ns": 0, "status": "refused", "width": 8, "height": 8}
    config = BuildConfig(input=tmp_path)
    rows = [Row(source=name, **facts) for name in ("b.jpg", "c.jpg", "a.jpg")]
    tasks = [PhotoTask(row.source, config, row, None) for row in rows]
    for order in (tasks, tasks[::-1]):
        results = [(task, [("photo", task.name)]) for task in order]
        monkeypatch.setattr(photos, "run", lambda *args, kept, results=results: results)
        assert list(photos.photo_images(config, tasks, limits(config))) == [
            (f"{k}.jpg", rows[0].face_index) for k in "abc"
        ]
