"""celebahq-data official: the images in the authors' order, verified; going on, and what cannot begin."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.align import align_face
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.official import deltas, face
from celebahq_builder.official.image_list import OfficialError, choose_indices, read_image_list
from celebahq_builder.released import libjpeg8d


def images_of(path: Path) -> dict[int, np.ndarray]:
    with open_dataset(path) as dataset:
        return dict(zip(dataset.faces["idx"].tolist(), dataset.read(1024, range(len(dataset))), strict=True))


# What is made.


def test_the_file_holds_the_official_images_in_the_authors_order_with_all_columns(celeba, make, tmp_path, made):
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


@pytest.mark.slow
def test_the_crop_of_the_command_is_the_released_one(run, tmp_path, made):
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


def test_miniature_celeba_on_which_the_released_programs_assertions_pass(real_data, run, tmp_path, made):
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


def test_another_image_in_the_png_folder_is_not_overwritten(celeba, make, tmp_path):
    (tmp_path / "hq").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "hq" / "imgHQ00000.png")
    code, _, rows = make("--format", "png", output="hq")
    assert (code, rows[0]["status"]) == (1, "another image in the way")
    assert Image.open(tmp_path / "hq" / "imgHQ00000.png").size == (4, 4)


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
