"""celebahq-data convert: folders go on after a kill; an LMDB is read by LSUN's rule and asks for little memory."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.commands.convert import ConvertConfig, convert
from celebahq_builder.commands.import_images import ImportConfig, import_images
from celebahq_builder.formats.export_rows import Row
from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from celebahq_builder.pyramid import pyramid
from celebahq_builder.sources.images import SourceError

ROOT = Path(__file__).resolve().parents[3]
_ENDS_AT_THE_FOURTH = """
import os, sys
from pathlib import Path
from celebahq_builder.commands.convert import ConvertConfig, convert
from celebahq_builder.formats.export_rows import Row
encode, encoded = Row.encode, []
def counting(row, image):
    encoded.append(row.index)
    if len(encoded) == 4:
        os._exit(9)
    return encode(row, image)
Row.encode = counting
convert(ConvertConfig(file=Path(sys.argv[1]), to=sys.argv[2], output=Path(sys.argv[3])))
"""
"""As kill -9 does, while the fourth image is made."""


def make(path: Path, resolution: int = 16) -> Path:
    labels, rng = np.eye(5, dtype=np.float32)[[3, 0, 1, 3, 2, 0, 1]], np.random.default_rng(0)
    with DatasetWriter(path, resolution, 7, labels=labels) as writer:
        for _ in range(7):
            writer.write(pyramid(rng.integers(0, 256, (resolution, resolution, 3), dtype=np.uint8)))
    return path


@pytest.mark.parametrize("to", ["imagefolder", "png-folder"])
@pytest.mark.parametrize("how", [KeyboardInterrupt, OSError(28, "No space left on device", "x"), os._exit])
def test_a_folder_that_was_interrupted_goes_on_with_the_same_command(tmp_path, monkeypatch, to, how):
    source, output = make(tmp_path / "f.h5"), tmp_path / "out"
    config, encode, encoded = ConvertConfig(file=source, to=to, output=output), Row.encode, []

    def counting(row, image):
        encoded.append(row.index)
        if len(encoded) == 4:
            raise how
        return encode(row, image)

    monkeypatch.setattr(Row, "encode", counting)
    if how is os._exit:  # in a process of its own: one forked from this one may wait for a thread that it does not have
        words = [sys.executable, "-c", _ENDS_AT_THE_FOURTH, str(source), to, str(output)]
        done = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=600)
        assert done.returncode == 9
        encoded.extend([0, 1, 2, 3])
    else:
        with pytest.raises(type(how) if isinstance(how, OSError) else how):
            convert(config)
    assert not output.exists()
    assert convert(config) == 7
    assert encoded == [0, 1, 2, 3, 3, 4, 5, 6]
    assert not list(tmp_path.rglob("*.partial")) and not list(output.rglob(".convert.json"))
    assert import_images(ImportConfig(sources=(output,), output=tmp_path / "again.h5")) == 7
    with open_dataset(source) as before, open_dataset(tmp_path / "again.h5") as after:
        np.testing.assert_array_equal(before.read(16, range(7)), after.read(16, range(7)))
        np.testing.assert_array_equal(before.labels, after.labels)


def test_what_another_command_began_is_not_gone_on_with(tmp_path, monkeypatch):
    source, output = make(tmp_path / "f.h5"), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Row, "encode", lambda row, image: 1 / 0 if row.index == 5 else b"other")
        patch.setattr("celebahq_builder.commands.convert.shutil.rmtree", lambda *args, **kwargs: None)
        with pytest.raises(ZeroDivisionError):
            convert(ConvertConfig(file=source, to="png-folder", output=output, resolution=8))
    assert len(list((tmp_path / "out.partial").glob("*.png"))) == 5
    convert(ConvertConfig(file=source, to="png-folder", output=output))
    assert import_images(ImportConfig(sources=(output,), output=tmp_path / "again.h5")) == 7


@pytest.mark.parametrize("image", ["png", "webp", "jpeg"])
def test_lmdb_is_read_as_lsun_is_with_nothing_but_lmdb_and_pillow(tmp_path, image):
    lmdb = pytest.importorskip("lmdb")
    source, output = make(tmp_path / "f.h5"), tmp_path / "db"
    convert(ConvertConfig(file=source, to="lmdb", output=output, format=image))
    # As the released dataset_tool.py and torchvision read LSUN: every pair of the database is a key and an image file.
    options = {"readonly": True, "max_readers": 1, "lock": False, "readahead": False, "meminit": False}
    with lmdb.open(str(output), **options) as database, database.begin(write=False) as transaction:
        assert transaction.stat()["entries"] == 7
        pairs = [(key, Image.open(io.BytesIO(value)).convert("RGB")) for key, value in transaction.cursor()]
    assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)  # the order of the cursor is that of the rows
    with open_dataset(source) as dataset:
        rows = dataset.read(16, range(7)).transpose(0, 2, 3, 1)
    images = np.stack([np.asarray(stored) for _, stored in pairs])
    if image == "jpeg":
        assert np.abs(images.astype(int) - rows).mean() < 12
    else:
        np.testing.assert_array_equal(images, rows)


def test_an_lmdb_grows_with_its_images_and_needs_little_address_space(tmp_path, monkeypatch):
    lmdb = pytest.importorskip("lmdb")
    from celebahq_builder.formats import lmdb_folder

    sizes, opened = [], lmdb.open
    monkeypatch.setattr(
        lmdb, "open", lambda *args, **kwargs: sizes.append(kwargs["map_size"]) or opened(*args, **kwargs)
    )
    monkeypatch.setattr(lmdb_folder, "_BATCH_BYTES", 1000)
    monkeypatch.setattr(lmdb_folder, "_MAP_BYTES", 16384)  # less than the seven images
    source = make(tmp_path / "f.h5", resolution=64)
    convert(ConvertConfig(file=source, to="lmdb", output=tmp_path / "db"))
    monkeypatch.undo()
    assert sizes == [16384] and (tmp_path / "db" / "data.mdb").stat().st_size > 3 * 16384
    assert import_images(ImportConfig(sources=(tmp_path / "db",), output=tmp_path / "again.h5")) == 7
    with open_dataset(source) as before, open_dataset(tmp_path / "again.h5") as after:
        np.testing.assert_array_equal(before.read(64, range(7)), after.read(64, range(7)))
    assert lmdb_folder._MAP_BYTES < 1 << 30
    monkeypatch.setattr(lmdb, "open", lambda *args, **kwargs: opened(*args, **kwargs | {"map_size": 1 << 62}))
    with pytest.raises(SourceError, match=r"db2.partial: got .* from lmdb, expected room for it"):
        convert(ConvertConfig(file=source, to="lmdb", output=tmp_path / "db2"))
    assert not list(tmp_path.glob("db2*"))
