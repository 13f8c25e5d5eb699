"""Images from seeds: the stream, the pixels, the files, with and without torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import zoo
from export import sample
from export.sample import UsageError, latents, load_onnx, slerp, to_uint8

ROOT = Path(__file__).resolve().parents[2]

WITHOUT_TORCH = """
import runpy, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript", "safetensors", "zoo"):
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, NoTorch())
sys.argv[0] = "export"
runpy.run_module("export", run_name="__main__")
"""


# The stream and the pixels.


def test_latents_are_numpys_legacy_stream():
    # the first five of RandomState(0), as countless documents print them
    expected = [1.76405235, 0.40015721, 0.97873798, 2.2408932, 1.86755799]
    z = latents([7, 0], 5)
    assert z.shape == (2, 5) and z.dtype == np.float32
    np.testing.assert_allclose(z[1], expected, rtol=1e-7)


def test_truncation_draws_again_only_what_is_outside():
    z, cut = latents([3], 512)[0], latents([3], 512, truncation=1.5)[0]
    inside = np.abs(z) <= 1.5
    assert 50 < (~inside).sum() < 100  # 2 (1 - Phi(1.5)) = 13%
    np.testing.assert_array_equal(z[inside], cut[inside])
    assert np.abs(cut).max() <= 1.5 and (cut[~inside] != z[~inside]).all()
    with pytest.raises(UsageError, match=r"--truncation: got 0.0, expected at least 0.01"):
        latents([3], 512, truncation=0.0)


def test_interpolation_keeps_to_the_hypersphere_at_even_speed():
    a, b = (z / np.linalg.norm(z) for z in latents([0, 1], 64).astype(np.float64))
    path = np.concatenate([slerp(a[None], b[None], t) for t in np.linspace(0, 1, 9)]).astype(np.float64)
    np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, atol=1e-6)
    angles = np.arccos(np.clip((path[:-1] * path[1:]).sum(axis=1), -1, 1))
    np.testing.assert_allclose(angles, np.arccos(a @ b) / 8, atol=1e-4)
    np.testing.assert_allclose(slerp(a[None], 3 * a[None], 0.5)[0], 2 * a, atol=1e-5)  # parallel: the line


def test_a_seed_gives_the_same_face_in_any_company():
    np.testing.assert_array_equal(latents(range(20), 64)[13], latents([13], 64)[0])


def test_images_span_minus_one_to_one_and_are_clipped():
    values = np.array([-7, -1, -0.5, 0, 0.5, 1, 7], np.float32)
    out = to_uint8(values.reshape(1, 1, 1, 7).repeat(3, axis=1))
    assert out.shape == (1, 1, 7, 3) and out.dtype == np.uint8
    # 127.5 x + 127.5 rounded half to even: 63.75, 127.5, 191.25
    assert out[0, 0, :, 0].tolist() == [0, 0, 64, 128, 191, 255, 255]
    with pytest.raises(UsageError, match="got NaN from it, expected numbers; its weights are damaged"):
        to_uint8(np.full((1, 3, 1, 1), np.nan, np.float32))


# The two engines.


def test_onnx_and_model_folder_generate_the_same_faces(model, onnx_file, tmp_path, images, read_image):
    images("--model", model, "--output", tmp_path / "torch.png", "--device", "cpu", "--batch", 3)
    images("--model", onnx_file, "--output", tmp_path / "onnx.png", "--device", "cpu", "--batch", 16)
    a, b = read_image(tmp_path / "torch.png"), read_image(tmp_path / "onnx.png")
    assert a.shape == b.shape == (64, 64, 3)
    assert np.abs(a - b).max() <= 1 and a.std() > 10


def test_an_image_is_the_face_of_its_seed(model, onnx_file, tmp_path, images, read_image):
    images("--model", onnx_file, "--seeds", "3,40", "--output", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed0003.png", "seed0040.png"]
    z = np.random.RandomState(40).randn(1, 32).astype(np.float32)
    face = zoo.load(model)(torch.from_numpy(z))[0].permute(1, 2, 0).numpy()
    expected = np.clip(np.rint(127.5 * face + 127.5), 0, 255)
    assert np.abs(read_image(tmp_path / "seed0040.png") - expected).max() <= 1


def test_an_onnx_file_is_generated_where_torch_cannot_be_imported(model, onnx_file, tmp_path, images, read_image):
    args = ["images", "--model", onnx_file, "--seeds", "0-5", "--grid", "3x2", "--output", tmp_path / "grid.png"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, args)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "6 images of 16x16 generated, onnxruntime CPUExecutionProvider" in done.stdout
    assert "images/s" in done.stdout
    images("--model", model, "--seeds", "0-5", "--grid", "3x2", "--output", tmp_path / "torch.png", "--device", "cpu")
    assert read_image(tmp_path / "grid.png").shape == (32, 48, 3)
    assert np.abs(read_image(tmp_path / "grid.png") - read_image(tmp_path / "torch.png")).max() <= 1


def test_a_model_folder_is_not_generated_where_torch_cannot_be_imported(model, tmp_path):
    """The blocker of the test above blocks."""
    args = ["images", "--model", str(model), "--output", str(tmp_path / "a.png")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "must not be needed" in done.stderr


@pytest.mark.parametrize("command", [[], ["onnx"], ["images"]])
def test_help_needs_neither_torch_nor_onnxruntime(command):
    code = (
        "import sys; from export.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print({'torch', 'onnxruntime', 'onnx', 'PIL'} & set(sys.modules))"
    )
    args = [sys.executable, "-c", code, *command, "--help"]
    done = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n") and "usage" in done.stdout


def test_callable_takes_any_batch_and_says_what_runs(onnx_file):
    generator = load_onnx(onnx_file, device="cpu")
    assert (generator.latent_size, generator.label_size, generator.resolution) == (32, 0, 16)
    assert generator.runs_on == "onnxruntime CPUExecutionProvider"
    for batch in (1, 7):
        assert generator(latents(range(batch), 32)).shape == (batch, 3, 16, 16)
    with pytest.raises(ValueError, match=r"z: got \(1, 512\), expected \(1, 32\)"):
        generator(latents([0], 512))


def test_without_a_working_cuda_it_is_refused_when_asked_for_and_otherwise_the_cpu(
    model, onnx_file, tmp_path, capsys, refusal
):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert refusal(capsys, "--model", model, "--device", "cuda", "--output", tmp_path).startswith("--device cuda: ")
    assert refusal(capsys, "--model", onnx_file, "--device", "cuda", "--output", tmp_path).startswith("--device cuda: ")
    assert load_onnx(onnx_file, device="auto").runs_on == "onnxruntime CPUExecutionProvider"


@pytest.mark.parametrize("has_driver", [True, False])
def test_a_cpu_that_stands_in_for_a_gpu_is_named_in_one_sentence_where_there_is_one(
    onnx_file, tmp_path, capsys, images, monkeypatch, has_driver
):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime is a build without CUDA")
    real, drivers = os.path.exists, ("/proc/driver/nvidia", "/dev/dxg")
    monkeypatch.setattr("os.path.exists", lambda path: has_driver if path in drivers else real(path))
    images("--model", onnx_file, "--seeds", "0-3", "--output", tmp_path / "a.png", "--batch", 1)
    printed, said = (
        capsys.readouterr(),
        "onnxruntime: got CUDA that does not work, expected a GPU with onnxruntime-gpu",
    )
    assert printed.err.count(said) == has_driver and "onnxruntime CPUExecutionProvider" in printed.out
    assert load_onnx(onnx_file, device="auto").note.startswith(said) == has_driver
    assert load_onnx(onnx_file, device="cpu").note == ""


# One file that goes along.


def test_sample_py_works_alone_beside_its_model(onnx_file, tmp_path, images, read_image, monkeypatch, capsys):
    """Copied into an empty folder, with neither this package, nor torch, nor Pillow to be had."""
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(sample.__file__, alone)
    shutil.copy(onnx_file, alone / "model.onnx")
    blocked = WITHOUT_TORCH.replace('"zoo"', '"zoo", "export", "celebahq", "PIL"').splitlines()[:-2]
    code = "\n".join([*blocked, "sys.argv[0] = 'sample.py'", "runpy.run_path('sample.py', run_name='__main__')"])
    args = ["--seeds", "0-5", "--output", "grid.png", "--device", "cpu", "--batch", "4"]
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("grid.png: 6 images, onnxruntime CPUExecutionProvider, ")
    images("--model", onnx_file, "--seeds", "0-5", "--output", tmp_path / "ours.png", "--device", "cpu")
    capsys.readouterr()
    np.testing.assert_array_equal(read_image(alone / "grid.png"), read_image(tmp_path / "ours.png"))
    wrongly = [
        (["--seeds", "5-1"], "--seeds: got 5-1, expected 1-5"),
        (["--output", "a/b.png"], "--output: got a/b.png, expected the name of a .png in a folder that is there"),
        (["--output", "b.webp"], "--output: got b.webp, expected the name of a .png in a folder that is there"),
    ]
    for args, message in wrongly:
        monkeypatch.chdir(alone)
        monkeypatch.setattr(sys, "argv", ["sample.py", *args])
        assert sample.main() == 2
        assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_every_bit(tmp_path, read_image, channels):
    noise = np.random.RandomState(0).randint(256, size=(5, 7, channels), dtype=np.uint8)
    sample.write_png(tmp_path / "noise.png", noise)
    np.testing.assert_array_equal(read_image(tmp_path / "noise.png").reshape(5, 7, channels), noise)


def test_with_numpy_and_onnxruntime_alone_the_command_names_the_file_to_run_instead(onnx_file, tmp_path):
    code = "import runpy, sys\nfor name in ('tyro', 'PIL', 'torch'): sys.modules[name] = None\n"
    code += "sys.argv[0] = 'export'\nrunpy.run_module('export', run_name='__main__', alter_sys=True)"
    done = subprocess.run([sys.executable, "-c", code, "images"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "run python export/sample.py --model model.onnx --seeds 0-15" in done.stderr
    command = [sys.executable, "export/sample.py", "--model", onnx_file, "--seeds", "0-15"]
    subprocess.run([*command, "--output", tmp_path / "g.png"], cwd=ROOT, check=True, capture_output=True)
