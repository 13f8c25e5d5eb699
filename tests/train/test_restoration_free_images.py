"""What the free restoration networks were trained on: a list of free images, and the script that collects them."""

import bz2
import hashlib
import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

FREE = {"public domain", "CC0-1.0", "CC-BY-2.0", "CC-BY-4.0"}


@pytest.fixture(scope="module")
def script(pytestconfig):
    path = pytestconfig.rootpath / "benchmarks" / "restoration_free_images.py"
    spec = importlib.util.spec_from_file_location("free_images", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def png(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def test_every_listed_image_is_free_and_has_an_author_and_a_hash(script):
    rows = script.read_list()
    assert len(rows) > 100 and len({row["name"] for row in rows}) == len({row["sha256"] for row in rows}) == len(rows)
    for row in rows:
        assert row["license"] in FREE and row["author"] and row["version"], row["name"]
        assert len(bytes.fromhex(row["sha256"])) == 32 and row["held_out"] in ("yes", "no")
    assert 10 <= sum(row["held_out"] == "yes" for row in rows) <= 20


def test_no_listed_image_is_one_of_those_that_the_pages_show_restored(script, pytestconfig):
    shown = (pytestconfig.rootpath / "examples" / "in-the-wild").iterdir()
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in shown}
    assert not hashes & {row["sha256"] for row in script.read_list()}


def test_image_of_a_package_is_taken_by_its_hash_and_reduced(script, tmp_path, monkeypatch, capsys):
    cache, output = tmp_path / "packages", tmp_path / "photos"
    (cache / "walls_1").mkdir(parents=True)
    data = png(np.repeat(np.arange(24, dtype=np.uint8)[:, None, None] * 10, 3, axis=2).repeat(30, axis=1))
    (cache / "walls_1" / "a.png").write_bytes(data)
    row = {"name": "a.png", "registry": "Debian 12", "package": "walls", "version": "1", "path": "a.png", "reduce": "2"}
    row |= {"sha256": hashlib.sha256(data).hexdigest(), "held_out": "yes"}
    monkeypatch.setattr(script, "read_list", lambda: [row])
    words = ["free", "--output", str(output), "--packages", str(cache)]
    monkeypatch.setattr("sys.argv", words)
    script.main()
    assert Image.open(output / "a.png").size == (15, 12) and (output / "held-out.txt").read_text() == "a.png\n"
    (cache / "walls_1" / "a.png").write_bytes(data + b"x")
    with pytest.raises(SystemExit, match=r"walls_1: got a\.png with SHA-256 .*, expected " + row["sha256"]):
        script.main()


def test_compressed_array_of_scipy_becomes_an_image(script):
    image = np.random.default_rng(0).integers(0, 256, script.RACCOON, dtype=np.uint8)
    assert np.array_equal(np.asarray(script.decode("face.dat", bz2.compress(image.tobytes()), 1)), image)
