"""celebahq-data official: every image verified, every fault a row that says what to fetch again, nothing done twice."""

import csv
import importlib.util
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.align import align_face
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.official import deltas, face, proof
from celebahq_builder.official.image_list import OfficialError, choose_indices, read_image_list
from celebahq_builder.released import libjpeg8d

pytest.importorskip("cryptography")


def _module(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _module("official_set")


def quick_crop(photo: np.ndarray, landmarks: np.ndarray, resolution: int = 1024, geometry: str = "released"):
    """Stands for the crop, which takes a second and has tests of its own; depends on pixels and landmarks."""
    moved = np.roll(photo, int(landmarks.sum()) % 7, axis=1)
    return moved.repeat(11, axis=0).repeat(11, axis=1)[:1024, :1024].copy()


@pytest.fixture
def celeba(tmp_path, monkeypatch):
    monkeypatch.setattr(face, "align_face", quick_crop)
    return made.OfficialSet(tmp_path, lambda data, points: quick_crop(libjpeg8d.decode_libjpeg8d(data), points))


@pytest.fixture
def make(celeba, run, tmp_path, capsys):
    def call(*options, output="hq.h5") -> tuple[int, str, dict[int, dict]]:
        capsys.readouterr()
        args = ("--celeba", celeba.celeba, "--deltas", celeba.deltas, "--output", tmp_path / output, "--workers", 0)
        code = run("official", *args, *options)
        captured = capsys.readouterr()
        table = tmp_path / f"{output}.rows.csv"
        rows = {}
        if table.exists():
            with table.open(newline="") as file:
                rows = {int(row["idx"]): row for row in csv.DictReader(file)}
        return code, captured.out + captured.err, rows

    return call


def images_of(path: Path) -> dict[int, np.ndarray]:
    with open_dataset(path) as dataset:
        return dict(zip(dataset.faces["idx"].tolist(), dataset.read(1024, range(len(dataset))), strict=True))


# What is made.


def test_the_file_holds_the_official_images_in_the_authors_order_with_all_columns(celeba, make, tmp_path):
    (celeba.celeba / "Anno" / "list_attr_celeba.txt").write_text(
        "3\nBald Smiling\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n"
    )
    (celeba.celeba / "Anno" / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 8\n000003.jpg 9\n")
    code, text, rows = make()
    assert code == 0
    assert "crop: ok (proc_md5 of imgHQ00000, from 000003.jpg)" in text
    assert {row["status"] for row in rows.values()} == {"verified"}
    with open_dataset(tmp_path / "hq.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(1024, range(3)), np.stack([celeba.finals[i] for i in range(3)]))
        columns = dataset.faces
        assert columns["idx"].tolist() == [0, 1, 2]
        assert columns["orig_idx"].tolist() == [2, 1, 0]
        assert columns["source"].tolist() == ["000003.jpg", "000002.jpg", "000001.jpg"]
        assert columns["identity"].tolist() == [9, 8, 7]
        assert columns["final_md5"].tolist() == [made.md5(celeba.finals[i]) for i in range(3)]
        np.testing.assert_array_equal(columns["landmarks"][2], made.landmarks(0))
        assert columns["quad"].shape == (3, 4, 2)
        assert dataset.labels.tolist() == [[1, 1], [0, 0], [1, 0]]
        assert dataset.label_names == ("Bald", "Smiling")
    assert not (tmp_path / "hq.h5.build").exists()


def test_png_folder_holds_the_official_images_and_a_second_run_makes_none(celeba, make, tmp_path, monkeypatch):
    assert make("--format", "png", output="hq")[0] == 0
    for idx, chw in celeba.finals.items():
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / f"hq/imgHQ{idx:05d}.png")), chw.transpose(1, 2, 0)
        )
    monkeypatch.setattr(face, "open_delta", None)
    assert make("--format", "png", output="hq")[0] == 0


def test_the_crop_of_the_command_is_the_released_one(run, tmp_path):
    """Nothing faked: the whole way from JPEG to image, once, in a worker process."""
    whole = made.OfficialSet(
        tmp_path, lambda data, points: align_face(libjpeg8d.decode_libjpeg8d(data), points, 1024, "released"), 1
    )
    assert (
        run(
            "official",
            "--celeba",
            whole.celeba,
            "--deltas",
            whole.deltas,
            "--output",
            tmp_path / "hq.h5",
            "--workers",
            1,
        )
        == 0
    )
    np.testing.assert_array_equal(images_of(tmp_path / "hq.h5")[0], whole.finals[0])


def test_miniature_celeba_on_which_the_released_programs_assertions_pass(real_data, run, tmp_path):
    folder = real_data / "official_vectors" / "mini_celeba"
    args = (
        "--celeba",
        folder / "celeba",
        "--deltas",
        folder / "deltas",
        "--output",
        tmp_path / "hq.h5",
        "--workers",
        0,
    )
    assert run("official", *args, "--indices", "1") == 0
    with open_dataset(tmp_path / "hq.h5") as dataset:
        image = read_image_list(folder / "deltas" / "image_list.txt")[1]
        assert made.md5(dataset.read(1024, [0])[0]) == image.final_md5


# In what shape CelebA and the deltas lie there.


def test_photos_are_read_from_a_zip_and_deltas_unpacked(celeba, make):
    with zipfile.ZipFile(celeba.celeba / "img_celeba.zip", "w") as archive:
        for path in celeba.photos.iterdir():
            archive.write(path, f"img_celeba/{path.name}")
    shutil.rmtree(celeba.photos)
    celeba.unpack_deltas()
    assert make()[0] == 0


def test_photos_are_read_from_the_parts_of_a_7z(celeba, make, tmp_path):
    py7zr, volumes = pytest.importorskip("py7zr"), pytest.importorskip("multivolumefile")
    with (
        volumes.open(celeba.celeba / "img_celeba.7z", "wb", volume=2000) as file,
        py7zr.SevenZipFile(file, "w") as seven,
    ):
        seven.writeall(celeba.photos, "img_celeba")
    shutil.rmtree(celeba.photos)
    assert len(list(celeba.celeba.glob("img_celeba.7z.*"))) > 1
    code, text, _ = make()
    assert code == 0, text
    assert not (tmp_path / "hq.h5.build").exists()
    sorted(celeba.celeba.glob("img_celeba.7z.*"))[-1].unlink()
    code, text, _ = make(output="other.h5")
    assert code == 2
    assert "expected a whole 7z; fetch all its parts again" in text


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


def test_delta_that_opens_and_is_wrong_is_found_out_by_the_final_md5(celeba, make, tmp_path):
    celeba.unpack_deltas()
    data = (celeba.photos / "000003.jpg").read_bytes()
    (celeba.deltas / "delta00000.dat").write_bytes(
        made.encrypted(np.ones((3, 1024, 1024), np.uint8), data, "000003.jpg")
    )
    row, _ = fault(make)
    assert row["status"] == "image differs"
    assert 0 not in images_of(tmp_path / "hq.h5")


def test_delta_that_unpacks_to_something_else_is_damaged(celeba, make):
    celeba.unpack_deltas()
    data = (celeba.photos / "000003.jpg").read_bytes()
    for delta in (np.zeros(10, np.uint8), np.zeros(3 * 1024 * 1024 + 1, np.uint8)):
        (celeba.deltas / "delta00000.dat").write_bytes(made.encrypted(delta, data, "000003.jpg"))
        assert fault(make)[0]["status"] == "delta damaged"


def test_a_jpeg_whose_pixels_changed_differs_in_its_crop(celeba, make):
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


def test_decoder_is_proved_by_the_md5_of_the_first_photo(celeba, make, monkeypatch):
    assert "decoder: not proved, 000001.jpg is not CelebA's" in make("--indices", "0")[1]
    pixels = libjpeg8d.decode_libjpeg8d((celeba.photos / "000001.jpg").read_bytes())
    monkeypatch.setattr(proof, "FIRST_PHOTO_MD5", made.md5(pixels))
    assert "decoder: ok (000001.jpg is decoded as by libjpeg 8d" in make(output="other.h5")[1]


def test_other_photographs_than_celebas_stop_before_the_work(celeba, make):
    for path in celeba.photos.iterdir():
        path.write_bytes(made.photo_jpeg(50))
    code, text, _ = make()
    assert code == 2
    assert "crop: got another face in 3 of 3 photos" in text


# Going on, and parts.


def test_what_a_killed_run_has_finished_is_not_made_again(celeba, make, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    done = []

    def until_two(task):
        if len(done) == 2:
            raise Killed
        done.append(task.image.idx)
        return face.make_official(task)

    monkeypatch.setattr("celebahq_builder.official.make.make_official", until_two)
    with pytest.raises(Killed):
        make()
    with (tmp_path / "hq.h5.build" / "official.jsonl").open("a") as file:
        file.write('{"idx": 2, "orig_fi')  # the line that it was writing
    assert not (tmp_path / "hq.h5").exists()
    monkeypatch.setattr(
        "celebahq_builder.official.make.make_official", lambda task: done.append(task) or face.make_official(task)
    )
    code, text, _ = make()
    assert code == 0
    assert "continuing: 2 of 3 images are done" in text
    assert len(done) == 3
    assert sorted(images_of(tmp_path / "hq.h5")) == [0, 1, 2]


def test_indices_make_a_part_which_a_later_run_completes(celeba, make, tmp_path):
    assert make("--indices", "1:2")[0] == 0
    assert list(images_of(tmp_path / "hq.h5")) == [1]
    assert make()[0] == 0
    assert list(images_of(tmp_path / "hq.h5")) == [0, 1, 2]
    assert "continuing: 3 of 3 images are done" in make()[1]


def test_another_picture_in_the_png_folder_is_not_overwritten(celeba, make, tmp_path):
    (tmp_path / "hq").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "hq" / "imgHQ00000.png")
    code, _, rows = make("--format", "png", output="hq")
    assert (code, rows[0]["status"]) == (1, "another picture in the way")
    assert Image.open(tmp_path / "hq" / "imgHQ00000.png").size == (4, 4)


# --check.


@pytest.fixture
def folder(celeba, tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    for idx, chw in celeba.finals.items():
        Image.fromarray(chw.transpose(1, 2, 0)).save(path / f"imgHQ{idx:05d}.png", compress_level=1)
    return path


def check(run, capsys, celeba, path) -> tuple[int, str]:
    capsys.readouterr()
    code = run("official", "--check", path, "--image-list", celeba.list, "--workers", 0)
    return code, capsys.readouterr().out


def test_check_passes_on_folder_zip_and_dataset(celeba, folder, make, run, capsys, tmp_path):
    make()
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"CelebA-HQ/{path.name}")
    for where in (folder, tmp_path / "images.zip", tmp_path / "hq.h5"):
        assert check(run, capsys, celeba, where) == (0, f"{where}: 3 official\n")


def test_check_tells_what_each_wrong_image_is(celeba, folder, run, capsys):
    Image.fromarray(celeba.finals[0].transpose(1, 2, 0)).save(folder / "imgHQ00001.png")
    (folder / "imgHQ00000.png").unlink()
    Image.fromarray(celeba.finals[2].transpose(1, 2, 0)).save(folder / "imgHQ00002.jpg")
    (folder / "imgHQ00002.png").unlink()
    code, text = check(run, capsys, celeba, folder)
    assert code == 1
    assert "imgHQ00001.png: holds imgHQ00000" in text
    assert "a JPEG is never the official image to the bit" in text
    assert "1 of the list are not there, the first is imgHQ00000" in text


def test_check_names_the_images_that_are_bad_as_published(celeba, folder, run, capsys):
    celeba.list.write_text(celeba.list.read_text().replace("\n2 ", "\n70 "))
    (folder / "imgHQ00002.png").rename(folder / "imgHQ00070.png")
    assert "imgHQ00070: known to be bad as published: half a face" in check(run, capsys, celeba, folder)[1]


# One line for what cannot begin.


def test_missing_package_is_one_line(celeba, refusal, capsys, monkeypatch):
    monkeypatch.setattr(deltas.importlib.util, "find_spec", lambda name: None)
    output = celeba.celeba.parent / "hq.h5"
    line = refusal(capsys, "official", "--celeba", celeba.celeba, "--deltas", celeba.deltas, "--output", output)
    assert "pip install 'celebahq[official]'" in line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "--celeba: got nothing"),
        (["--check", "x"], "--image-list: got nothing"),
        (["--celeba", "{celeba}/nothing", "--deltas", "{deltas}"], "which does not exist"),
        (["--celeba", "{celeba}/img_celeba/x", "--deltas", "{deltas}"], "which does not exist"),
        (["--celeba", "{celeba}", "--deltas", "{celeba}"], "got no image_list.txt"),
        (["--celeba", "{celeba}", "--deltas", "{deltas}", "--indices", "1-5"], "--indices: got '1-5'"),
        (["--celeba", "{celeba}", "--deltas", "{deltas}", "--indices", "90"], "expected some from 0 to 2"),
        (
            ["--celeba", "{celeba}", "--deltas", "{deltas}", "--image-list", "{celeba}/Anno/list_landmarks_celeba.txt"],
            "expected the columns idx",
        ),
    ],
)
def test_what_cannot_begin_is_one_line(celeba, refusal, capsys, options, expected):
    options = [option.format(celeba=celeba.celeba, deltas=celeba.deltas) for option in options]
    output = celeba.celeba.parent / "hq.h5"
    assert expected in refusal(capsys, "official", *options, "--output", output)
    assert not list(output.parent.glob("hq.h5*"))


def test_indices_are_numbers_and_ranges(celeba):
    images = read_image_list(celeba.list)
    assert [image.idx for image in choose_indices(images, "2, 0:1")] == [0, 2]
    with pytest.raises(OfficialError, match="expected numbers and ranges"):
        choose_indices(images, "a")


def test_released_list_is_read_whole(real_data):
    images = read_image_list(real_data / "celebahq_image_list.txt")
    assert [image.idx for image in images] == list(range(30_000))
    assert images[0].orig_file == "119614.jpg"
