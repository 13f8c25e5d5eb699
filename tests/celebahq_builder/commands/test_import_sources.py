"""celebahq-data import: archives of a Mac, bombs, gray images, and the labels of StyleGAN and CelebA."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.hdf5 import open_dataset

ROOT = Path(__file__).resolve().parents[3]


def test_archives_of_a_mac_are_read_and_a_name_twice_is_named(tmp_path, capsys, run, refusal, noise_image, png):
    mac, twice = tmp_path / "mac.zip", tmp_path / "twice.zip"
    with zipfile.ZipFile(mac, "w") as file:
        file.writestr("faces/0.png", png(noise_image(0)))
        file.writestr("__MACOSX/faces/._0.png", b"resource fork")
        file.writestr("faces/.DS_Store", b"x")
        file.writestr("faces/readme.txt", b"x")
    assert run("import", mac, "--output", tmp_path / "f.h5") == 0
    assert "left alone: 1 (.txt 1)" in capsys.readouterr().out
    with zipfile.ZipFile(twice, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("0.png", png(noise_image(0)))
        file.writestr("0.png", png(noise_image(1)))
    message = refusal(capsys, "import", twice, "--output", tmp_path / "g.h5")
    assert message == f"{twice}: got 0.png twice, expected every name once"


def test_a_zip_bomb_is_refused_by_what_it_declares(tmp_path, capsys, run, refusal, noise_image, png):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("0.png", png(noise_image(0)))
        with file.open("1.png", "w") as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    assert bomb.stat().st_size < 1 << 20
    message = refusal(capsys, "import", bomb, "--output", tmp_path / "f.h5")
    assert f"{bomb}/1.png: got a file larger than 256 MiB, expected an image" in message
    assert run("import", bomb, "--output", tmp_path / "f.h5", "--bad", "skip") == 0
    assert "skipped: 1 (larger than 256 MiB 1)" in capsys.readouterr().out


def test_labels_of_a_stylegan_archive_are_read(tmp_path, capsys, run, refusal, noise_image, png):
    archive, output = tmp_path / "stylegan.zip", tmp_path / "f.h5"
    listed = [["00000/img00000000.png", 3], ["00000/img00000001.png", 0]]
    for labels, expected in ((listed, [[0, 0, 0, 1], [1, 0, 0, 0]]), ([[n, [v, 0.5]] for n, v in listed], None)):
        output.unlink(missing_ok=True)
        (tmp_path / "f-labels.npy").unlink(missing_ok=True)
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("dataset.json", json.dumps({"labels": labels}))
            for i in range(2):
                file.writestr(f"00000/img{i:08}.png", png(noise_image(i)))
        assert run("import", archive, "--output", output) == 0
        with open_dataset(output) as dataset:
            np.testing.assert_array_equal(dataset.labels, expected or [[3, 0.5], [0, 0.5]])
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("00000/img00000002.png", png(noise_image(2)))
    assert "got no label for 1 of 3 images" in refusal(capsys, "import", archive, "--output", tmp_path / "g.h5")
    assert run("import", archive, "--output", tmp_path / "g.h5", "--labels", "none") == 0
    (tmp_path / "bad.json").write_text("[" * 50_000)
    message = refusal(capsys, "import", archive, "--output", tmp_path / "h.h5", "--labels", tmp_path / "bad.json")
    assert 'bad.json: got something else, expected {"labels"' in message


def test_attributes_and_identities_of_celeba_are_read(tmp_path, run, noise_image, png):
    source = tmp_path / "img_align_celeba"
    source.mkdir()
    for i in range(2):
        (source / f"{i + 1:06}.png").write_bytes(png(noise_image(i)))
    attributes, identities = tmp_path / "list_attr_celeba.txt", tmp_path / "identity_CelebA.txt"
    attributes.write_text("3\nBald Smiling \n000001.jpg -1  1\n000002.jpg  1 -1\n000003.jpg 1 1\n")
    identities.write_text("000001.jpg 2880\n000002.jpg 30\n")
    assert run("import", source, "--output", tmp_path / "a.h5", "--labels", attributes) == 0
    assert run("import", source, "--output", tmp_path / "i.h5", "--labels", identities) == 0
    with open_dataset(tmp_path / "a.h5") as dataset:
        np.testing.assert_array_equal(dataset.labels, [[-1, 1], [1, -1]])
        assert dataset.label_names == ("Bald", "Smiling")
    with open_dataset(tmp_path / "i.h5") as dataset:
        np.testing.assert_array_equal(dataset.labels, [[0, 1], [1, 0]])
        assert dataset.label_names == ("30", "2880")


def test_gray_images_stay_one_channel_and_come_out_again(tmp_path, capsys, run, refusal, noise_image, png):
    source, output = tmp_path / "gray", tmp_path / "g.h5"
    source.mkdir()
    grays = [noise_image(i)[..., 0] for i in range(3)]
    for i, gray in enumerate(grays):
        (source / f"{i}.png").write_bytes(png(gray))
    assert run("import", source, "--output", output) == 0
    assert "3 gray images of 16x16" in capsys.readouterr().out
    with open_dataset(output) as dataset:
        assert dataset.channels == 1
        np.testing.assert_array_equal(dataset.read(16, [2, 0])[:, 0], [grays[2], grays[0]])
    assert run("verify", output, "--photos", source) == 0
    assert run("preview", output, "--output", tmp_path / "sheet.png") == 0
    assert run("extract", output, "--output", tmp_path / "png") == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "png/00001.png")), grays[1])
    assert run("import", source, "--output", tmp_path / "rgb.h5", "--to-rgb") == 0
    with open_dataset(tmp_path / "rgb.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(16, [1])[0], np.stack([grays[1]] * 3))
