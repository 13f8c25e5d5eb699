"""A build from a zip, a tar or a list makes the faces that a build from the folder makes, and resumes like it."""

import hashlib
import re
import shlex
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.sources.images import SourceError
from celebahq_builder.sources.input_photos import list_input
from celebahq_builder.sources.named_photo import sha256_of_named

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild" / "astronaut.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A face, the same face mirrored in a folder below, and a film."""
    root = tmp_path_factory.mktemp("input") / "photos"
    (root / "b").mkdir(parents=True)
    face = np.asarray(Image.open(EXAMPLE).convert("RGB"))[:256, 60:316]
    Image.fromarray(face).save(root / "a.png")
    Image.fromarray(np.ascontiguousarray(face[:, ::-1])).save(root / "b" / "mirrored.jpg", quality=95)
    (root / "film.mp4").write_bytes(b"-")
    return root


def packed(folder: Path, kind: str, place: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if kind == "zip":
        with zipfile.ZipFile(place / "p.zip", "w") as archive:
            for path in files:
                archive.write(path, path.relative_to(folder))
        return place / "p.zip"
    if kind == "tar":
        with tarfile.open(place / "p.tar", "w") as archive:
            for path in files:
                archive.add(path, f"./{path.relative_to(folder).as_posix()}")
        return place / "p.tar"
    shutil.copytree(folder, place / "copy")
    (place / "copy" / "list.txt").write_text("b/mirrored.jpg\na.png\n")
    return place / "copy" / "list.txt"


def options(source: Path, output: Path) -> BuildConfig:
    return BuildConfig(input=source, output=output, resolution=32, workers=0, restore="off")


def faces(path: Path) -> tuple[list[str], bytes]:
    with h5py.File(path) as file:
        return list(file["faces/source"].asstr()[:]), file["data32x32"][:].tobytes()


@pytest.fixture(scope="module")
def expected(folder, tmp_path_factory) -> tuple[list[str], bytes]:
    output = tmp_path_factory.mktemp("folder") / "f.h5"
    build(options(folder, output))
    return faces(output)


@pytest.mark.parametrize("kind", ["zip", "tar", "list"])
def test_an_archive_or_a_list_gives_the_faces_of_the_folder(kind, folder, expected, tmp_path, logged):
    (tmp_path / "in").mkdir()
    source = packed(folder, kind, tmp_path / "in")
    build(options(source, tmp_path / "f.h5"))
    assert faces(tmp_path / "f.h5") == expected and sorted(expected[0]) == ["a.png", "b/mirrored.jpg"]
    assert any("No photos:     1 .mp4" in line.getMessage() for line in logged) == (kind != "list")
    result = build(options(source, tmp_path / "f.h5"))
    assert (result.num_faces, result.refused) == (2, None)
    assert "already finished, 2 faces" in logged[-1].getMessage()
    for name in expected[0]:  # what `celebahq-data verify --photos` compares
        assert sha256_of_named(source, name) == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    with pytest.raises(SourceError, match=r"no such file|cannot be read"):
        sha256_of_named(source, "../a.png")
    if kind == "zip":
        with zipfile.ZipFile(source, "a") as archive:
            archive.write(folder / "a.png", "c.png")
        result = build(options(source, tmp_path / "f.h5"))
        assert (result.num_photos, result.num_faces, result.num_duplicates) == (3, 2, 1), "it takes what is new"


@pytest.mark.parametrize(("kind", "name"), [("gz", "p.tgz"), ("bz2", "p.tar.bz2"), ("xz", "p.tar.xz")])
def test_a_compressed_tar_is_refused_with_a_command_that_makes_a_plain_one(folder, tmp_path, kind, name):
    with tarfile.open(tmp_path / name, f"w:{kind}") as archive:
        archive.add(folder, "photos")
    with pytest.raises(
        BuildError, match=r"--input: .*: got a file compressed by .*, expected a folder, a zip"
    ) as caught:
        build(options(tmp_path / name, tmp_path / "f.h5"))
    command = re.search(r"; (.*) makes one$", str(caught.value))[1]
    if shutil.which(command.split()[0]):
        subprocess.run(shlex.split(command), check=True)
        assert len(list_input(options(tmp_path / "p.tar", tmp_path / "f.h5")).names) == 2
