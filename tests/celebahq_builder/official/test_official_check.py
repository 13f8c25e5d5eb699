"""celebahq-data official --check: an existing folder, zip or dataset against the list."""

import zipfile

import pytest
from PIL import Image

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
