"""celebahq-build with restoration: the same bytes from one process and from many, the weights on record, resuming."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from celebahq.errors import DeviceError
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.report.file_page import build_command
from celebahq_builder.restore_settings import resolve_auto, restored_here
from zoo.detector import checked_sha256, detector_folder
from zoo.restoration.weights import shipped_folder

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("artifacts-fast", "superres-fast-gan")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    examples = ROOT / "examples" / "in-the-wild"
    Image.open(examples / "grace_hopper.jpg").reduce(2).save(root / "grace_hopper.jpg")  # a box of 168 pixels
    Image.open(examples / "astronaut.png").reduce(2).save(root / "astronaut.png")  # of 87: for the network
    return root


def options(photos, output, **more):
    base = {"input": photos, "output": output, "resolution": 128, "workers": 0, "restore": "fast", "device": "cpu"}
    return BuildConfig(**base | more)


@pytest.fixture(scope="module")
def built(photos, tmp_path_factory):
    """A build from the command line, with whatever the defaults are here but the device and processes."""
    return build_by_command(photos, tmp_path_factory.mktemp("built") / "f.h5", 0)


def build_by_command(photos, output, workers):
    words = ["--input", photos, "--output", output, "--resolution", "128", "--workers", workers, "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "celebahq_builder", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return output, done.stdout


def test_a_cpu_restores_with_the_fast_networks_and_says_so(built):
    lines = [line.split() for line in built[1].splitlines()]
    assert ["--restore", "fast"] in lines and ["--device", "cpu"] in lines


def test_file_records_the_hash_of_the_weights(built):
    with h5py.File(built[0]) as file:
        recorded = json.loads(file.attrs["weights_sha256"])
        assert json.loads(file.attrs["config"])["restore"] == "fast"
    assert recorded == {
        name: hashlib.sha256((shipped_folder(name) / "model.safetensors").read_bytes()).hexdigest() for name in NETWORKS
    } | {"centerface": checked_sha256(detector_folder())}


@pytest.mark.slow
def test_two_workers_make_the_same_faces_as_one_process(built, photos, tmp_path):
    two, _ = build_by_command(photos, tmp_path / "two.h5", 2)
    with h5py.File(built[0]) as one, h5py.File(two) as other:
        for name in ("data128x128", "faces/score", "faces/source"):
            assert np.array_equal(one[name][:], other[name][:]), name


def test_this_process_makes_the_same_faces_as_the_command_and_other_than_without(built, photos, tmp_path):
    threads = torch.get_num_threads()
    build(options(photos, tmp_path / "here.h5"))
    assert torch.get_num_threads() == threads
    build(options(photos, tmp_path / "off.h5", restore="off"))
    with h5py.File(built[0]) as one, h5py.File(tmp_path / "here.h5") as here, h5py.File(tmp_path / "off.h5") as off:
        assert np.array_equal(one["data128x128"][:], here["data128x128"][:])
        assert np.array_equal(one["faces/score"][:], here["faces/score"][:])
        assert list(json.loads(off.attrs["weights_sha256"])) == ["centerface"]
        # Where the face lies is told in pixels of the photo as it is, restored or not.
        order = [list(off["faces/source"]).index(source) for source in here["faces/source"]]
        for column in ("landmarks", "quad", "scale"):
            assert np.array_equal(here[f"faces/{column}"][:], off[f"faces/{column}"][:][order])
        difference = np.abs(here["data128x128"][:].astype(int) - off["data128x128"][:][order]).mean()
        assert 0.5 < difference < 10


def test_report_shows_the_restored_stages(built):
    html = (built[0].parent / "report.html").read_text()
    # grace_hopper's box has more than 128 pixels a side; the astronaut's has fewer and is enlarged.
    assert html.count("without JPEG artifacts</figcaption>") == 2
    assert html.count("enlarged 4 times</figcaption>") == 1


def test_other_restoration_is_refused_on_resume_with_both_named(photos, tmp_path):
    output = tmp_path / "f.h5"
    build(options(photos, output, keep_build_folder=True, restore="off", resolution=64))
    with pytest.raises(BuildError) as caught:
        build(options(photos, output, resolution=64))
    assert str(caught.value).startswith(f"--restore: {output} was made with off, this command says fast; ")
    output.unlink()
    with pytest.raises(BuildError) as caught:
        build(options(photos, output, resolution=64))
    assert "--restore: this build was begun with off, now it is fast; " in str(caught.value)


def test_the_free_networks_restore_a_build_and_are_refused_where_the_others_began(photos, tmp_path):
    output = tmp_path / "f.h5"
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(photos / "astronaut.png", one)
    build(
        options(
            one, output, restore="fast-free", keep_build_folder=True, detector="centerface", landmarks_from="detector"
        )
    )
    with h5py.File(output) as file:
        assert set(json.loads(file.attrs["weights_sha256"])) == {
            "artifacts-fast-free",
            "superres-fast-free-gan",
            "centerface",
        }
    told = (tmp_path / "report.html").read_text()
    assert "public domain, CC0 and CC BY" in told and "BSDS500" not in told and "300-W" not in told
    output.unlink()
    with pytest.raises(BuildError, match="--restore: this build was begun with fast-free, now it is fast; "):
        build(options(one, output, detector="centerface", landmarks_from="detector"))


def test_self_ensemble_changes_the_faces_is_recorded_and_is_not_mixed_with_its_absence(photos, tmp_path):
    one, output = tmp_path / "one", tmp_path / "f.h5"
    one.mkdir()
    Image.open(photos / "astronaut.png").convert("RGB").save(one / "astronaut.jpg", quality=30)
    usual = {"detector": "hog", "resolution": 64}
    build(options(one, tmp_path / "plain.h5", **usual))
    build(options(one, output, self_ensemble=True, **usual))
    with h5py.File(output) as file, h5py.File(tmp_path / "plain.h5") as plain:
        assert json.loads(file.attrs["config"])["self_ensemble"] is True
        assert "self_ensemble" not in json.loads(plain.attrs["config"])
        difference = np.abs(file["data64x64"][:].astype(int) - plain["data64x64"][:])
        assert 0 < difference.mean() < 1
    with open_dataset(output) as dataset:
        assert "--self-ensemble" in (build_command(dataset, one) or "").split()
    with pytest.raises(BuildError) as caught:
        build(options(one, output, **usual))
    assert str(caught.value).startswith(f"--self-ensemble: {output} was made with True, this command says ")
    with pytest.raises(BuildError, match="--self-ensemble: got it with --restore off, expected auto, full, fast"):
        options(one, output, self_ensemble=True, restore="off")


def test_other_weights_are_refused_on_resume(photos, tmp_path):
    output = tmp_path / "f.h5"
    build(options(photos, output, keep_build_folder=True, resolution=64))
    output.unlink()
    manifest = tmp_path / "f.h5.build" / "manifest.jsonl"
    header, *rows = manifest.read_text().splitlines(keepends=True)
    older = json.loads(header) | {"weights_sha256": '{"artifacts-fast": "00"}'}
    manifest.write_text(json.dumps(older) + "\n" + "".join(rows))
    wanted = "weights of --restore and --detector: this build was begun with .*; finish it with the version that began"
    with pytest.raises(BuildError, match=wanted):
        build(options(photos, output, resolution=64))


def test_nothing_is_asked_of_pytorch_without_restoration(photos, tmp_path):
    code = (
        "import sys; from celebahq_builder.__main__ import main\n"
        f"sys.argv = ['celebahq-build', '--input', {str(photos)!r}, '--output', {str(tmp_path / 'f.h5')!r}, "
        "'--resolution', '64', '--restore', 'off', '--workers', '0']\n"
        "main(); assert 'torch' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_damaged_weights_are_told_in_one_line_before_any_photo(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.restoration.weights.PRETRAINED", tmp_path)
    for name in NETWORKS:
        shutil.copytree(ROOT / "zoo" / "pretrained" / name, tmp_path / name)
    path = tmp_path / "superres-fast-gan" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BuildError, match=r"--restore fast: .*superres-fast-gan.*cannot be read") as caught:
        build(options(photos, tmp_path / "f.h5"))
    assert "\n" not in str(caught.value) and not (tmp_path / "f.h5.build").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_refused(photos, tmp_path):
    with pytest.raises(DeviceError, match="--device cuda: PyTorch finds no CUDA device here; use --device cpu"):
        resolve_auto(options(photos, tmp_path / "f.h5", device="cuda"))
    config, _ = resolve_auto(options(photos, tmp_path / "f.h5", device="auto", restore="auto"))
    assert (config.device, config.restore) == ("cpu", "fast")
    with pytest.raises(DeviceError, match="finds no CUDA device here"):
        resolve_auto(options(photos, tmp_path / "f.h5", device="cuda", ray="local", workers=1))
    config, _ = resolve_auto(options(photos, tmp_path / "f.h5", device="cuda", ray="auto", workers=1))
    assert (config.device, restored_here(config).device) == ("cuda", "cpu"), "the cluster's GPUs; for the page, none"
