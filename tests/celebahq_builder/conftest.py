"""Small faces, files and folders that several test files of the builder share, as fixtures."""

import hashlib
import importlib.util
import io
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder import landmarks, mark_measures, process_photo, process_photos
from celebahq_builder.dataset import main
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord
from celebahq_builder.process_photo import Result
from celebahq_builder.pyramid import pyramid
from celebahq_builder.sources.input_photos import file_stamp
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.photo_changes import content_sha256
from celebahq_builder.state.waiting_faces import encode_face


def cascade(face: np.ndarray) -> dict[int, np.ndarray]:
    """Levels of a (3, R, R) uint8 face by the rule of 2017: float means of the unrounded level above, rint once."""
    levels, level = {}, face.astype(np.float64)
    while True:
        r = level.shape[-1]
        levels[r] = np.clip(np.rint(level), 0, 255).astype(np.uint8)
        if r == 1:
            return levels
        level = level.reshape(3, r // 2, 2, r // 2, 2).mean(axis=(2, 4))


def random_faces(count: int, resolution: int, seed: int = 0) -> list[dict[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [cascade(rng.integers(0, 256, (3, resolution, resolution), dtype=np.uint8)) for _ in range(count)]


def record(i: int = 0) -> FaceRecord:
    return FaceRecord(
        source=f"some folder/photo {i}.jpg",
        source_sha256=f"{i:064x}",
        pixel_sha256=f"{i + 1:064x}",
        face_index=i % 3,
        scale=1.5 + i,
        landmarks=np.arange(10).reshape(5, 2) + i,
        quad=np.arange(8).reshape(4, 2) / 3 + i,
        score=1 - i / 100,
        breadth=0.5,
        isotropy=0.25,
    )


def write(path: Path, faces: list[dict[int, np.ndarray]], **options) -> Path:
    with DatasetWriter(path, max(faces[0]), len(faces), **options) as writer:
        for i, levels in enumerate(faces):
            writer.write(levels, record(i))
    return path


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as exited:
        main([str(arg) for arg in args])
    return exited.value.code


def refusal(capsys, *args: object) -> str:
    """The one line on stderr of a command that must exit with 2."""
    capsys.readouterr()
    assert run(*args) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("celebahq-data: ")


def noise_image(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """What functions tell their loggers: they print nothing."""
    records: list[logging.LogRecord] = []
    logger, handler = logging.getLogger("celebahq"), logging.Handler()
    handler.emit = records.append
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five PNG faces in two folders, and a file that is none."""
    for i, name in enumerate(("a/1.png", "a/2.PNG", "b/1.png", "b/10.png", "b/2.png")):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(png(noise_image(i)))
    (tmp_path / "faces" / "notes.txt").write_text("not a face")
    return tmp_path / "faces"


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Twelve scored rows with labels, as celebahq-build writes them."""
    path = tmp_path / "scored.h5"
    with DatasetWriter(path, 16, 12, labels=np.eye(12, 3)) as writer:
        for i in range(12):
            face = FaceRecord(
                source=f"day {i // 2}/p.jpg",
                source_sha256="0" * 64,
                pixel_sha256="1" * 64,
                face_index=i % 2,
                scale=1.0,
                landmarks=np.ones((5, 2)),
                quad=np.ones((4, 2)),
                score=1 - i / 20,
                breadth=0.5,
                isotropy=0.5,
            )
            writer.write(pyramid(noise_image(i)), face)
    return path


@pytest.fixture
def made_photos(tmp_path) -> Path:
    """Four files that the replaced stages of `trouble` take for photos of one face each."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (folder / name).write_bytes(f"photo {name}".encode())
    return folder


def face_of(task):
    """What process_task returns, without a face being looked for: the bytes of the photo decide on pixels and score."""
    stamp, data = file_stamp(task.config.input, task.name), (task.config.input / task.name).read_bytes()
    rng, side = np.random.default_rng(list(data)), task.config.resolution
    face = encode_face(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), task.packed)
    row = Row(
        source=task.name,
        source_bytes=stamp.num_bytes,
        source_mtime_ns=stamp.mtime_ns,
        status="aligned",
        source_sha256=content_sha256(task.config.input, task.name),
        pixel_sha256=task.name.encode().hex().ljust(64, "0"),
        width=50,
        height=50,
        landmarks=((10, 10), (30, 10), (20, 20), (12, 30), (28, 30)),
        quad=((0, 0), (0, 40), (40, 40), (40, 0)),
        scale=0.5,
        score=float(rng.random()),
        breadth=0.5,
        isotropy=0.5,
        face_sha256=hashlib.sha256(face).hexdigest(),
    )
    return Result([row], {0: face})


@pytest.fixture
def trouble(monkeypatch):
    """The stages replaced: name of a photo -> the exception or Failure that befalls it; "worked on": names so far."""
    befalls, worked = {}, []

    def process_task(task):
        worked.append(task.name)
        if isinstance(problem := befalls.get(task.name), Exception):
            raise problem
        return problem or face_of(task)

    monkeypatch.setattr(process_photos, "process_task", process_task)
    befalls["worked on"] = worked
    return befalls


@pytest.fixture(scope="module", name="flaky_store")
def flaky_store_fixture():
    """The module flaky_store.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("flaky_store", Path(__file__).with_name("flaky_store.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def store(flaky_store):
    """An S3 client of a server with the bucket `photos`, which the builder finds by the environment."""
    from celebahq_builder.sources import remote

    remote.open_url.cache_clear()  # what is kept open knows the server of another file
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    with flaky_store.serve_store() as client:
        yield client
    remote.open_url.cache_clear()


@pytest.fixture
def flaky(flaky_store, store, monkeypatch):
    """The proxy before the store: `faults` by name, among `methods`, `seconds` of each; `asked` and `sent` count."""
    from celebahq_builder.sources import remote

    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.01)
    for name in ("faults", "asked", "sent"):
        monkeypatch.setattr(flaky_store.Flaky, name, Counter())
    monkeypatch.setattr(flaky_store.Flaky, "methods", ("GET",))
    for name, value in (("seconds", 0.0), ("passes", None), ("held", 0)):
        monkeypatch.setattr(flaky_store.Flaky, name, value)
    return flaky_store.Flaky


@pytest.fixture
def rebuilding():
    """The module rebuilding.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("rebuilding", Path(__file__).with_name("rebuilding.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def looked_at(monkeypatch, rebuilding):
    """The detector replaced by one that needs no face; gives the names of the photos that were looked at."""
    names = []

    def counted(task):
        names.append(task.name)
        return process_photo.process_task(task)

    monkeypatch.setattr(landmarks, "find_faces", rebuilding.found_faces)
    monkeypatch.setattr(mark_measures, "measure_marks", lambda photo, quad, resolution: photo)
    monkeypatch.setattr(process_photo, "marks_text", rebuilding.marks_of)
    monkeypatch.setattr(process_photos, "process_task", counted)
    return names


@pytest.fixture
def sequence(tmp_path, png, looked_at, rebuilding):
    """A build of eight such photos, whose options are to be set."""
    return rebuilding.Sequence(tmp_path, 0, png)


@pytest.fixture(name="cascade")
def cascade_fixture():
    return cascade


@pytest.fixture(name="random_faces")
def random_faces_fixture():
    return random_faces


@pytest.fixture(name="record")
def record_fixture():
    return record


@pytest.fixture(name="write")
def write_fixture():
    return write


@pytest.fixture(name="run")
def run_fixture():
    return run


@pytest.fixture(name="refusal")
def refusal_fixture():
    return refusal


@pytest.fixture(name="noise_image")
def noise_image_fixture():
    return noise_image


@pytest.fixture(name="png")
def png_fixture():
    return png
