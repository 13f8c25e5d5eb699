"""celebahq-data official: every fault is a row that says what to fetch again, and nothing wrong is written."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.official import deltas, proof
from celebahq_builder.released import libjpeg8d


def images_of(path: Path) -> dict[int, np.ndarray]:
    with open_dataset(path) as dataset:
        return dict(zip(dataset.faces["idx"].tolist(), dataset.read(1024, range(len(dataset))), strict=True))


# What is made.
# Every fault is a row, and what is wrong is never written as if it were right.


def fault(make, idx: int = 0) -> tuple[dict, dict[int, dict]]:
    code, text, rows = make()
    assert code == 1, text
    assert rows[idx]["status"] in text
    return rows[idx], rows


def test_missing_archive_is_named_and_added_later(celeba, make, tmp_path):
    text = celeba.list.read_text().splitlines()
    extra = celeba.photos / "000003.jpg"
    later = text[1].split()
    celeba.list.write_text("\n".join([*text, " ".join(["1000", *later[1:]])]) + "\n")  # the first image again, as 1000
    row, _ = fault(make, 1000)
    assert (row["status"], row["detail"].split(" is not in ")[0]) == ("archive of deltas missing", "deltas01000.zip")
    assert row["detail"].endswith("; fetch it")
    assert sorted(images_of(tmp_path / "hq.h5")) == [0, 1, 2]

    with zipfile.ZipFile(celeba.archive) as archive:
        token = archive.read("delta00000.dat")
    with zipfile.ZipFile(celeba.deltas / "deltas01000.zip", "w") as archive:
        archive.writestr("delta01000.dat", token)
    deltas.delta_files.cache_clear()
    code, text, rows = make()
    assert (code, rows[1000]["status"]) == (0, "verified")
    assert "continuing: 3 of 4 images are done" in text
    found = images_of(tmp_path / "hq.h5")
    assert list(found) == [0, 1, 2, 1000]
    np.testing.assert_array_equal(found[1000], celeba.finals[0])
    assert extra.exists()


def test_truncated_archive_is_to_be_fetched_again(celeba, make):
    celeba.archive.write_bytes(celeba.archive.read_bytes()[:-5000])
    code, text, rows = make()
    assert code == 1
    assert {row["status"] for row in rows.values()} == {"archive of deltas damaged"}
    assert "fetch deltas00000.zip again" in text


def test_a_web_page_instead_of_an_archive_is_called_so(celeba, make):
    celeba.archive.write_text("<!DOCTYPE html><title>Quota exceeded</title>")
    assert "a web page, not an archive" in make()[1]


def test_damaged_delta_spoils_one_image_alone(celeba, make, tmp_path):
    data = bytearray(celeba.archive.read_bytes())
    at = data.find(b"delta00001.dat") + 3000
    data[at] ^= 1
    celeba.archive.write_bytes(data)
    row, rows = fault(make, 1)
    assert row["status"] == "archive of deltas damaged"
    assert [rows[i]["status"] for i in (0, 2)] == ["verified", "verified"]
    assert sorted(images_of(tmp_path / "hq.h5")) == [0, 2]


def test_delta_of_another_image_is_found_out(celeba, make):
    celeba.unpack_deltas()
    shutil.copy(celeba.deltas / "delta00002.dat", celeba.deltas / "delta00000.dat")
    row, _ = fault(make)
    assert row["status"] == "photo and delta do not belong together"


def test_delta_that_opens_and_is_wrong_is_found_out_by_the_final_md5(celeba, make, tmp_path, made):
    celeba.unpack_deltas()
    data = (celeba.photos / "000003.jpg").read_bytes()
    (celeba.deltas / "delta00000.dat").write_bytes(
        made.encrypted(np.ones((3, 1024, 1024), np.uint8), data, "000003.jpg")
    )
    row, _ = fault(make)
    assert row["status"] == "image differs"
    assert 0 not in images_of(tmp_path / "hq.h5")


def test_delta_that_unpacks_to_something_else_is_damaged(celeba, make, made):
    celeba.unpack_deltas()
    data = (celeba.photos / "000003.jpg").read_bytes()
    for delta in (np.zeros(10, np.uint8), np.zeros(3 * 1024 * 1024 + 1, np.uint8)):
        (celeba.deltas / "delta00000.dat").write_bytes(made.encrypted(delta, data, "000003.jpg"))
        assert fault(make)[0]["status"] == "delta damaged"


def test_a_jpeg_whose_pixels_changed_differs_in_its_crop(celeba, make, made):
    (celeba.photos / "000003.jpg").write_bytes(made.photo_jpeg(99))
    row, _ = fault(make)
    assert row["status"] == "crop differs"
    assert "fetch them again" in row["detail"]


def test_a_jpeg_that_lost_its_metadata_alone_does_not_open_the_delta(celeba, make):
    path = celeba.photos / "000003.jpg"
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xfe\x00\x06edit" + data[2:])
    row, _ = fault(make)
    assert row["status"] == "photo and delta do not belong together"
    assert "fetch 000003.jpg again" in row["detail"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda path: path.unlink(), "photo missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "photo damaged"),
        (lambda path: Image.new("RGB", (178, 218)).save(path), "aligned photo"),
    ],
)
def test_a_photo_that_is_not_the_one_is_told(celeba, make, change, status):
    change(celeba.photos / "000003.jpg")
    assert fault(make)[0]["status"] == status


# The proof before the work.


def test_wrong_libjpeg_is_found_before_anything_is_made(celeba, make, monkeypatch, tmp_path):
    pytest.importorskip("jpeglib")
    monkeypatch.setattr(
        libjpeg8d, "_decode_by_jpeglib", lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    )
    monkeypatch.setattr(libjpeg8d, "decode_libjpeg8d", libjpeg8d._decode_by_jpeglib)
    code, text, _ = make()
    assert code == 2
    assert "decoder: got other pixels of 000001.jpg from jpeglib than libjpeg 8d's" in text
    assert not (tmp_path / "hq.h5").exists()


def test_decoder_is_proved_by_the_md5_of_the_first_photo(celeba, make, monkeypatch, made):
    assert "decoder: not proved, 000001.jpg is not CelebA's" in make("--indices", "0")[1]
    pixels = libjpeg8d.decode_libjpeg8d((celeba.photos / "000001.jpg").read_bytes())
    monkeypatch.setattr(proof, "FIRST_PHOTO_MD5", made.md5(pixels))
    assert "decoder: ok (000001.jpg is decoded as by libjpeg 8d" in make(output="other.h5")[1]


def test_other_photographs_than_celebas_stop_before_the_work(celeba, make, made):
    for path in celeba.photos.iterdir():
        path.write_bytes(made.photo_jpeg(50))
    code, text, _ = make()
    assert code == 2
    assert "crop: got another face in 3 of 3 photos" in text
