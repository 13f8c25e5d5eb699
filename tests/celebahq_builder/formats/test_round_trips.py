"""celebahq-data convert and import: every format comes back with the same pixels, labels and names."""

import json
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.commands.convert import ConvertConfig, convert
from celebahq_builder.commands.import_images import ImportConfig, import_images
from celebahq_builder.dataset import main
from celebahq_builder.formats import WRITERS
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.pyramid import pyramid

LABELS = {
    "none": (None, None),
    "classes": (np.eye(5, dtype=np.float32)[[3, 0, 1, 3, 2, 0, 1]], ("a", "b", "ç", "d", "never seen")),
    "unnamed": (np.eye(6, dtype=np.float32)[[3, 0, 1, 3, 2, 0, 1]], None),
    "numbers": (np.linspace(-1, 1, 21, dtype=np.float32).reshape(7, 3) / 3, ("x", "y", "z")),
    "one number": (np.linspace(0, 1, 7, dtype=np.float32)[:, None], ("age",)),
}


def make(path: Path, kind: str, channels: int = 3, resolution: int = 16) -> Path:
    labels, names = LABELS[kind]
    rng = np.random.default_rng(0)
    with DatasetWriter(path, resolution, 7, labels=labels, label_names=names, channels=channels) as writer:
        for i in range(7):
            levels = pyramid(rng.integers(0, 256, (resolution, resolution, channels), dtype=np.uint8))
            writer.write(levels, FaceRecord(f"day/{i}.jpg", "0" * 64, "1" * 64, score=1 - i / 10))
    return path


def package_of(name: str) -> str | None:
    return {"parquet": "pyarrow", "lmdb": "lmdb", "tfrecords": "google_crc32c"}.get(name)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("to", WRITERS)
def test_what_is_converted_and_imported_is_equal(tmp_path, to, kind):
    if package_of(to):
        pytest.importorskip(package_of(to))
    source, output = make(tmp_path / "f.h5", kind), tmp_path / ("f.zip" if to == "stylegan-zip" else "converted")
    assert convert(ConvertConfig(file=source, to=to, output=output)) == 7
    assert import_images(ImportConfig(sources=(output,), output=tmp_path / "again.h5")) == 7
    with open_dataset(source) as before, open_dataset(tmp_path / "again.h5") as after:
        for r in before.resolutions:
            np.testing.assert_array_equal(before.read(r, range(7)), after.read(r, range(7)))
        assert (before.labels is None) == (after.labels is None)
        if before.labels is not None:
            np.testing.assert_array_equal(before.labels, after.labels)
        if to == "png-folder" and before.label_names is None and before.labels is not None:
            assert after.label_names == tuple(f"label{i}" for i in range(6))  # a heading must say something
        else:
            assert before.label_names == after.label_names
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")) == []


@pytest.mark.parametrize("to", WRITERS)
def test_gray_images_stay_gray_in_every_format(tmp_path, to):
    if package_of(to):
        pytest.importorskip(package_of(to))
    source, output = make(tmp_path / "f.h5", "classes", channels=1), tmp_path / "f.zip"
    convert(ConvertConfig(file=source, to=to, output=output, resolution=8))
    import_images(ImportConfig(sources=(output,), output=tmp_path / "again.h5"))
    with open_dataset(source) as before, open_dataset(tmp_path / "again.h5") as after:
        assert (after.channels, after.resolution) == (1, 8)
        np.testing.assert_array_equal(before.read(8, range(7)), after.read(8, range(7)))


@pytest.mark.parametrize("image", ["webp", "jpeg"])
def test_webp_is_without_loss_and_jpeg_near(tmp_path, image):
    source = make(tmp_path / "f.h5", "none", resolution=32)
    convert(ConvertConfig(file=source, to="webdataset", output=tmp_path / "w", format=image))
    import_images(ImportConfig(sources=(tmp_path / "w",), output=tmp_path / "again.h5"))
    with open_dataset(source) as before, open_dataset(tmp_path / "again.h5") as after:
        difference = np.abs(before.read(32, range(7)).astype(int) - after.read(32, range(7)))
        assert difference.max() == 0 if image == "webp" else difference.mean() < 30


def test_stylegans_own_rules_hold_for_the_zip(tmp_path):
    # stylegan2-ada-pytorch, training/dataset.py: names in sorted order, ints or lists of floats, one size, RGB or L.
    source = make(tmp_path / "f.h5", "classes")
    convert(ConvertConfig(file=source, to="stylegan-zip", output=tmp_path / "f.zip"))
    with zipfile.ZipFile(tmp_path / "f.zip") as archive, open_dataset(source) as dataset:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        fnames = sorted(name for name in archive.namelist() if name.endswith(".png"))
        labels = dict(json.loads(archive.read("dataset.json"))["labels"])
        labels = np.array([labels[name.replace("\\", "/")] for name in fnames])
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, dataset.labels.argmax(axis=1))
        for row, name in enumerate(fnames):
            with archive.open(name) as file:
                image = np.array(Image.open(file))
            np.testing.assert_array_equal(image.transpose(2, 0, 1), dataset.read(16, [row])[0])


def test_the_library_webdataset_reads_the_shards(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    source = make(tmp_path / "f.h5", "classes", resolution=64)
    convert(ConvertConfig(file=source, to="webdataset", output=tmp_path / "w"))
    shards = [str(path) for path in sorted((tmp_path / "w").glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8").to_tuple("png", "cls", "json"))
    with open_dataset(source) as dataset:
        for row, (image, label, facts) in enumerate(samples):
            np.testing.assert_array_equal(image.transpose(2, 0, 1), dataset.read(64, [row])[0])
            assert label == facts["label"] == dataset.labels[row].argmax() and facts["source"] == f"day/{row}.jpg"
        assert len(samples) == 7


def test_shards_are_cut_by_size_and_read_in_order(tmp_path):
    source = make(tmp_path / "f.h5", "none", resolution=512)
    for to in ("webdataset", "parquet"):
        if package_of(to):
            pytest.importorskip(package_of(to))
        output = tmp_path / to
        convert(ConvertConfig(file=source, to=to, output=output, shard_mib=1))
        assert len([path for path in output.rglob("*") if path.suffix in (".tar", ".parquet")]) > 2
        import_images(ImportConfig(sources=(output,), output=tmp_path / f"{to}.h5"))
        with open_dataset(source) as before, open_dataset(tmp_path / f"{to}.h5") as after:
            np.testing.assert_array_equal(before.read(8, range(7)), after.read(8, range(7)))


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("to", ["parquet", "imagefolder"])
def test_the_library_datasets_reads_parquet_and_imagefolder(tmp_path, to, kind, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    source = make(tmp_path / "f.h5", kind)
    convert(ConvertConfig(file=source, to=to, output=tmp_path / "d"))
    options = (
        {"path": str(tmp_path / "d")} if to == "parquet" else {"path": "imagefolder", "data_dir": str(tmp_path / "d")}
    )
    loaded = datasets.load_dataset(**options, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 7
    with open_dataset(source) as dataset:
        for row, sample in enumerate(loaded):
            np.testing.assert_array_equal(np.asarray(sample["image"]).transpose(2, 0, 1), dataset.read(16, [row])[0])
            if kind == "classes":
                assert sample["label"] == dataset.labels[row].argmax()
            else:
                np.testing.assert_allclose(sample["labels"], dataset.labels[row], rtol=1e-7)
        if to == "parquet" and kind == "classes":
            assert tuple(loaded.features["label"].names) == dataset.label_names


def test_parquet_that_datasets_wrote_is_imported(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    images = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)) for i in range(5)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    made = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 1, 0, 1]}, features=features)
    made.to_parquet(str(tmp_path / "train.parquet"))
    import_images(ImportConfig(sources=(tmp_path / "train.parquet",), output=tmp_path / "f.h5"))
    with open_dataset(tmp_path / "f.h5") as dataset:
        for row, image in enumerate(images):
            np.testing.assert_array_equal(dataset.read(8, [row])[0].transpose(1, 2, 0), np.asarray(image))
        np.testing.assert_array_equal(dataset.labels.argmax(axis=1), [0, 1, 1, 0, 1])
        assert dataset.label_names == ("cat", "dog")


def test_tfrecords_are_those_of_the_released_program(tmp_path):
    # An independent reader: Example{shape: int64[3], data: bytes} by the layout of protobuf's wire format, CRC32C by
    # the table of RFC 3720, every level from 4x4 up (dataset_tool.py of the released program).
    pytest.importorskip("google_crc32c")
    source = make(tmp_path / "f.h5", "numbers")
    convert(ConvertConfig(file=source, to="tfrecords", output=tmp_path / "tf"))
    assert sorted(path.name for path in (tmp_path / "tf").iterdir()) == [
        "label_names.json",
        "tf-r02.tfrecords",
        "tf-r03.tfrecords",
        "tf-r04.tfrecords",
        "tf-rxx.labels",
    ]
    table = []
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)

    def masked(data: bytes) -> int:
        crc = 0xFFFFFFFF
        for byte in data:
            crc = table[(crc ^ byte) & 255] ^ crc >> 8
        crc ^= 0xFFFFFFFF
        return (crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF

    with open_dataset(source) as dataset:
        for r in (4, 8, 16):
            data, row = (tmp_path / "tf" / f"tf-r{r.bit_length() - 1:02}.tfrecords").read_bytes(), 0
            while data:
                length = int.from_bytes(data[:8], "little")
                record = data[12 : 12 + length]
                assert int.from_bytes(data[8:12], "little") == masked(data[:8])
                assert int.from_bytes(data[12 + length : 16 + length], "little") == masked(record)
                pixels = dataset.read(r, [row])[0].tobytes()
                assert pixels in record and b"\x0a\x05shape" in record and b"\x0a\x04data" in record
                assert bytes([26, *([len(b := bytes([3, r, r])) + 2, 10, len(b), *b])]) in record
                data, row = data[16 + length :], row + 1
            assert row == 7
        labels = np.load(tmp_path / "tf" / "tf-rxx.labels")
        np.testing.assert_array_equal(labels, dataset.labels)


def test_a_damaged_record_is_named_and_can_be_skipped(tmp_path, capsys):
    pytest.importorskip("google_crc32c")
    convert(ConvertConfig(file=make(tmp_path / "f.h5", "classes"), to="tfrecords", output=tmp_path / "tf"))
    path = tmp_path / "tf" / "tf-r04.tfrecords"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    options = ["import", str(tmp_path / "tf"), "--output", str(tmp_path / "again.h5")]
    with pytest.raises(SystemExit):
        main(options)
    assert "got record 00000000 damaged" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*options, "--bad", "skip"])
    assert ended.value.code == 0 and "skipped: 1 (damaged record 1)" in capsys.readouterr().out
    path.write_bytes(data[:-5])
    with pytest.raises(SystemExit) as ended:
        main(["import", str(tmp_path / "tf"), "--output", str(tmp_path / "b.h5"), "--bad", "skip"])
    assert ended.value.code in (0, 2)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(SystemExit) as ended:
        main(["import", str(tmp_path / "tf"), "--output", str(tmp_path / "c.h5")])
    assert ended.value.code == 2 and "got no record at byte 0" in capsys.readouterr().err


def test_convert_overwrites_nothing_and_leaves_nothing_half_made(tmp_path, capsys, monkeypatch):
    source = make(tmp_path / "f.h5", "none")
    (tmp_path / "there").mkdir()

    def refused(*args: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["convert", str(source), *map(str, args)])
        assert ended.value.code == 2
        return capsys.readouterr().err

    assert "there: exists already" in refused("--to", "webdataset", "--output", tmp_path / "there")
    assert "expected a level of" in refused("--to", "webdataset", "--output", tmp_path / "x", "--resolution", 5)
    with h5py.File(source, "r+") as file:
        file["data16x16"].resize(7, axis=0)
        del file["data16x16"]
        file.create_dataset("data16x16", (7, 3, 16, 16), np.uint8, chunks=(1, 3, 16, 16), compression="gzip")
        file["data16x16"].id.write_direct_chunk((0, 0, 0, 0), b"no gzip")
    for to, name in (("webdataset", "w"), ("stylegan-zip", "z.zip"), ("imagefolder", "i")):
        assert "damaged" in refused("--to", to, "--output", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "there"]


def test_a_tar_of_anything_is_a_source(tmp_path):
    convert(ConvertConfig(file=make(tmp_path / "f.h5", "none"), to="png-folder", output=tmp_path / "png"))
    with tarfile.open(tmp_path / "png.tar", "w") as archive:
        archive.add(tmp_path / "png", "some/folder")
    assert import_images(ImportConfig(sources=(tmp_path / "png.tar",), output=tmp_path / "g.h5")) == 7
    with open_dataset(tmp_path / "f.h5") as a, open_dataset(tmp_path / "g.h5") as b:
        np.testing.assert_array_equal(a.read(16, range(7)), b.read(16, range(7)))
