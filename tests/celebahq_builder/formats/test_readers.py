"""celebahq-data import of other people's files: CIFAR, MNIST, LSUN, HDF5 of 2017; damaged ones are one line."""

import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from celebahq_builder.commands.import_images import ImportConfig, import_images
from celebahq_builder.dataset import main
from celebahq_builder.formats import open_source
from celebahq_builder.hdf5 import chunk_rows, open_dataset
from celebahq_builder.pyramid import pyramid
from celebahq_builder.sources.images import SourceError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (10, 3072), dtype=np.uint8)
CLASSES = [3, 9, 0, 1, 1, 2, 8, 4, 5, 6]
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def imported(source: Path, output: Path, **options):
    import_images(ImportConfig(sources=(source,), output=output, **options))
    return open_dataset(output)


def cifar10_python(folder: Path) -> None:
    folder.mkdir()
    for i in range(2):
        rows = slice(5 * i, 5 * i + 5)
        batch = {"data": PIXELS[rows], "labels": CLASSES[rows], "filenames": ["x.png"] * 5, "batch_label": "b"}
        # As Python 2 wrote it: protocol 2, and names of the numpy of its time.
        data = pickle.dumps(batch, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        (folder / f"data_batch_{i + 1}").write_bytes(data)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES, "num_vis": 3072}, protocol=2))


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10_of_python_comes_with_its_classes(tmp_path, packed):
    source = tmp_path / "cifar-10-batches-py"
    cifar10_python(source)
    if packed:
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            archive.add(source, "cifar-10-batches-py")
        source = tmp_path / "cifar-10-python.tar.gz"
    with imported(source, tmp_path / "c.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(32, range(10)).reshape(10, -1), PIXELS)
        np.testing.assert_array_equal(dataset.labels.argmax(axis=1), CLASSES)
        assert dataset.label_names == tuple(NAMES)


def test_cifar10_binary_and_cifar100_are_read(tmp_path):
    binary, hundred = tmp_path / "cifar-10-batches-bin", tmp_path / "cifar-100-python"
    binary.mkdir()
    hundred.mkdir()
    records = np.concatenate([np.array(CLASSES, np.uint8)[:, None], PIXELS], axis=1)
    (binary / "data_batch_1.bin").write_bytes(records.tobytes())
    (binary / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    fine = {"data": PIXELS, "fine_labels": [99, *CLASSES[1:]], "coarse_labels": [1] * 10}
    (hundred / "train").write_bytes(pickle.dumps(fine, protocol=2))
    (hundred / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"n{i}" for i in range(100)]}, protocol=2))
    with imported(binary, tmp_path / "b.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(32, range(10)).reshape(10, -1), PIXELS)
        np.testing.assert_array_equal(dataset.labels.argmax(axis=1), CLASSES)
    with imported(hundred, tmp_path / "h.h5") as dataset:
        assert dataset.labels.shape == (10, 100) and dataset.labels[0, 99] == 1 and dataset.label_names[99] == "n99"


def test_nothing_in_a_pickle_is_executed(tmp_path, capsys):
    folder = tmp_path / "cifar-10-batches-py"
    cifar10_python(folder)

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    (folder / "data_batch_1").write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(SourceError, match="got no batch of CIFAR"):
        open_source(folder)
    assert not (tmp_path / "owned").exists()


def test_mnist_is_gray_and_padded_to_32_as_released(tmp_path):
    digits, labels = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8), np.array([5, 0, 4, 1, 9, 2], np.uint8)
    for name, array in (("train-images-idx3-ubyte", digits), ("train-labels-idx1-ubyte", labels)):
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(head + array.tobytes()))
        (tmp_path / f"{name.replace('train', 't10k')}.gz").write_bytes(gzip.compress(head + array.tobytes()))
    with imported(tmp_path, tmp_path / "m.h5") as dataset:
        assert (dataset.channels, len(dataset)) == (1, 6)
        np.testing.assert_array_equal(dataset.read(32, range(6))[:, 0], np.pad(digits, [(0, 0), (2, 2), (2, 2)]))
        np.testing.assert_array_equal(dataset.labels.argmax(axis=1), labels)


def test_real_mnist_is_read(real_data, tmp_path):
    with imported(real_data / "mnist", tmp_path / "m.h5", limit=100) as dataset:
        assert (dataset.channels, dataset.resolution, len(dataset)) == (1, 32, 100)
        assert dataset.labels[:5].argmax(axis=1).tolist() == [5, 0, 4, 1, 9]  # the best known digits


def test_lsun_is_cropped_in_the_middle_and_reduced(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    photos = [RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8), RNG.integers(0, 256, (50, 32, 3), dtype=np.uint8)]
    with lmdb.open(str(tmp_path / "church_lmdb"), map_size=1 << 24) as environment, environment.begin(write=True) as t:
        for i, photo in enumerate(photos):
            stream = io.BytesIO()
            Image.fromarray(photo).save(stream, "WEBP", lossless=True, exact=True)
            t.put(f"{i:040x}".encode(), stream.getvalue())
    options = {"crop": "center", "resize": "lanczos", "resolution": 16}
    with imported(tmp_path / "church_lmdb", tmp_path / "l.h5", **options) as dataset:
        for row, photo in enumerate(photos):
            side, height, width = min(photo.shape[:2]), *photo.shape[:2]
            top, left = (height - side) // 2, (width - side) // 2
            square = Image.fromarray(photo[top : top + side, left : left + side])
            expected = np.asarray(square.resize((16, 16), Image.Resampling.LANCZOS))
            np.testing.assert_array_equal(dataset.read(16, [row])[0].transpose(1, 2, 0), expected)


def test_hdf5_of_2017_is_read_with_the_labels_beside_it(tmp_path):
    faces = RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    levels = [pyramid(face) for face in faces]
    with h5py.File(tmp_path / "old.h5", "w") as file:
        for r in (16, 8, 4, 2, 1):
            data = np.stack([level[r] for level in levels])
            chunks = (min(5, chunk_rows(r)), 3, r, r)
            file.create_dataset(f"data{r}x{r}", data=data, chunks=chunks, compression="gzip", compression_opts=4)
    np.save(tmp_path / "old-labels.npy", np.eye(5, 4))
    with imported(tmp_path / "old.h5", tmp_path / "new.h5") as dataset, open_dataset(tmp_path / "old.h5") as old:
        for r in old.resolutions:
            np.testing.assert_array_equal(dataset.read(r, range(5)), old.read(r, range(5)))
        np.testing.assert_array_equal(dataset.labels, np.eye(5, 4))


def files_of_every_format(folder: Path) -> list[Path]:
    """One damaged file of each format: cut in the middle, then bytes changed."""
    from celebahq_builder.commands.convert import ConvertConfig, convert
    from celebahq_builder.hdf5 import DatasetWriter

    with DatasetWriter(folder / "f.h5", 16, 5, labels=np.eye(5)) as writer:
        for seed in range(5):
            pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            writer.write(pyramid(pixels))
    for to in ("stylegan-zip", "tfrecords", "webdataset", "imagefolder", "parquet"):
        convert(ConvertConfig(file=folder / "f.h5", to=to, output=folder / to))
    (folder / "stylegan-zip").rename(folder / "s.zip")
    cifar10_python(folder / "cifar")
    made = ("s.zip", "tfrecords/tfrecords-r04.tfrecords", "tfrecords/tfrecords-rxx.labels", "webdataset/00000.tar")
    made += ("imagefolder/metadata.jsonl", "parquet/data/train-00000-of-00001.parquet", "cifar/data_batch_1")
    return [folder / name for name in made]


def test_damaged_files_of_every_format_are_one_line_or_rows(tmp_path, capsys):
    for package in ("pyarrow", "google_crc32c"):
        pytest.importorskip(package)
    rng = np.random.default_rng(1)
    for path in files_of_every_format(tmp_path):
        sound = path.read_bytes()
        source = path if path.name == "s.zip" else tmp_path / path.relative_to(tmp_path).parts[0]
        for attempt in range(12):
            data = bytearray(sound[: int(rng.integers(1, len(sound)))] if attempt < 3 else sound)
            for _ in range(0 if attempt < 3 else int(rng.choice([1, 4, 16]))):
                data[int(rng.integers(len(data)))] = int(rng.integers(256))
            path.write_bytes(data)
            for file in tmp_path.glob("out*"):
                file.unlink()
            with pytest.raises(SystemExit) as ended:
                main(["import", str(source), "--output", str(tmp_path / "out.h5"), "--bad", "skip"])
            lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("celebahq-data: ")]
            assert ended.value.code in (0, 2) and len(lines) == (ended.value.code == 2), (path, attempt, lines)
        path.write_bytes(sound)


def test_a_library_that_is_absent_is_named_with_its_remedy(tmp_path, capsys, monkeypatch):
    (tmp_path / "f.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "f.parquet"), "--output", str(tmp_path / "f.h5")])
    assert "got no pyarrow.parquet, expected it; pip install 'celebahq[formats]'" in capsys.readouterr().err


def svhn(path: Path, **changes) -> np.ndarray:
    """Write train_32x32.mat in small, as it is: images last, classes 1 to 10; return the images (N, 3, 32, 32)."""
    images = RNG.integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    classes = np.array([[10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1]], np.uint8).T
    scipy.io.savemat(path, {"X": images, "y": classes} | changes, do_compression=True)
    return images.transpose(3, 2, 0, 1)


@pytest.mark.parametrize("in_folder", [False, True])
def test_svhn_comes_with_its_digits_and_its_class_ten_is_the_digit_zero(tmp_path, in_folder):
    (tmp_path / "svhn").mkdir()
    images = svhn(tmp_path / "svhn" / "train_32x32.mat")
    svhn(tmp_path / "svhn" / "test_32x32.mat")
    source = tmp_path / "svhn" if in_folder else tmp_path / "svhn" / "train_32x32.mat"
    with imported(source, tmp_path / "s.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(32, range(12)), images)
        np.testing.assert_array_equal(dataset.labels.argmax(axis=1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
        assert dataset.label_names == tuple("0123456789")
        assert dataset.faces["source"][11] == "train_32x32/000011"


@pytest.mark.parametrize(
    "changes",
    [
        {"X": np.zeros((32, 32, 3, 12))},
        {"X": np.zeros((16, 16, 3, 12), np.uint8)},
        {"y": np.zeros((12, 1), np.uint8)},
        {"y": np.ones((11, 1), np.uint8)},
        {"X": np.array([{"a": 1}], object)},
        {"y": "text"},
    ],
)
def test_another_mat_is_one_line(tmp_path, changes):
    svhn(tmp_path / "a.mat", **changes)
    with pytest.raises(SourceError, match=r"a\.mat: got another \.mat, expected X \(32, 32, 3, N\) uint8 and y"):
        open_source(tmp_path / "a.mat")


def test_damaged_mats_are_one_line(tmp_path):
    svhn(tmp_path / "a.mat")
    data = (tmp_path / "a.mat").read_bytes()
    for at in (0, 1, 100, 126, 128, 136, 140, 200, 1000, len(data) - 5):
        for damaged in (data[:at], data[:at] + bytes(8) + data[at + 8 :], data[:at] + b"\xff" * 8 + data[at + 8 :]):
            (tmp_path / "b.mat").write_bytes(damaged)
            try:
                open_source(tmp_path / "b.mat")
            except SourceError as error:
                assert str(error).startswith(f"{tmp_path / 'b.mat'}: got ")


def test_partitions_of_celeba_are_taken_by_name(tmp_path):
    folder = tmp_path / "CelebA" / "img_align_celeba"
    folder.mkdir(parents=True)
    for i in range(1, 7):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / f"{i:06}.png")
    lines = "".join(f"{i:06}.jpg {part}\n" for i, part in zip(range(1, 7), (0, 0, 1, 2, 2, 0), strict=True))
    (tmp_path / "CelebA" / "list_eval_partition.txt").write_text(lines)
    for part, rows in (("train", [1, 2, 6]), ("val", [3]), ("test", [4, 5]), ("all", [1, 2, 3, 4, 5, 6])):
        with imported(folder, tmp_path / f"{part}.h5", partition=part) as dataset:
            assert dataset.read(8, range(len(rows)))[:, 0, 0, 0].tolist() == rows
    other = tmp_path / "mine.csv"
    other.write_text("image_id,partition\n" + lines.replace(" ", ",").replace(",0", ",2"))
    with imported(folder, tmp_path / "b.h5", partition="test", partition_list=other) as dataset:
        assert len(dataset) == 5
    for options, message in (
        ({"partition": "train", "partition_list": other}, "--partition: got no image of train in "),
        ({"partition_list": other}, "--partition-list: got .*, expected --partition train, val or test too"),
        ({"partition": "val", "partition_list": folder / "000001.png"}, "000001.png: .*, expected list_eval_partition"),
    ):
        with pytest.raises(SourceError, match=message):
            imported(folder, tmp_path / "c.h5", **options)
    (tmp_path / "CelebA" / "list_eval_partition.txt").unlink()
    with pytest.raises(SourceError, match=r"--partition: got no list_eval_partition\.txt near .*, expected it"):
        imported(folder, tmp_path / "c.h5", partition="val")
