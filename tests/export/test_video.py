"""The film: what PyAV reads back is what was asked for, and it loops."""

import subprocess
import sys

import av
import numpy as np
import pytest

from export.__main__ import main
from export.latent_path import latent_path
from export.sample import image_grid, load_onnx

WITHOUT_TORCH = """
import runpy, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "safetensors", "zoo"):
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, NoTorch())
sys.argv[0] = "export"
runpy.run_module("export", run_name="__main__")
"""


def film(path):
    """Every frame (n, H, W, 3) uint8 as numbers, and the stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(frames).astype(int), stream.average_rate, stream.codec_context.name


def video(*args):
    try:
        main(["video", *map(str, args)])
    except SystemExit as end:
        if end.code:
            raise


def refusal(capsys, *args) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as error:
        video(*args)
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message.removeprefix("python -m export: ")


@pytest.fixture(scope="module")
def loop(onnx_file, tmp_path_factory):
    """A film made where torch cannot be imported: 4 s at 12 fps, 3x2 faces of 32 pixels, 16 of them the network's."""
    path = tmp_path_factory.mktemp("video") / "loop.mp4"
    args = ["video", "--model", onnx_file, "--output", path, "--seconds", 4, "--fps", 12, "--grid", "3x2"]
    args += ["--seed", 7, "--resolution", 32, "--crf", 4, "--batch", 5, "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "48 frames of 96x64, 4.0 s at 12 fps" in done.stdout and "images/s" in done.stdout
    return path


def test_frame_count_rate_size_and_codec_are_what_was_asked_for(loop):
    frames, rate, codec = film(loop)
    assert frames.shape == (48, 64, 96, 3)
    assert rate == 12 and codec == "h264"


def test_frames_show_the_faces_of_the_path(loop, onnx_file):
    frames, _, _ = film(loop)
    generator = load_onnx(onnx_file, "cpu")
    z = latent_path(48, 6, 32, fps=12, seed=7)
    for i in (0, 12, 24, 36, 47):
        faces = generator.uint8_images(z[i]).repeat(2, axis=1).repeat(2, axis=2)
        expected = image_grid(faces, 3).astype(int)
        assert np.abs(frames[i] - expected).mean() < 6 < expected.std()
        # colors are tagged and converted alike: no cast
        assert np.abs((frames[i] - expected).mean(axis=(0, 1))).max() < 2


def test_the_last_frame_leads_back_to_the_first(loop):
    frames, _, _ = film(loop)
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    seam = np.abs(frames[0] - frames[-1]).mean()
    half = np.abs(frames[0] - frames[24]).mean()
    assert seam < 1.5 * steps.mean() and half > 3 * steps.mean()


def test_the_same_command_again_keeps_the_film_and_another_is_refused(loop, onnx_file, capsys):
    same = ["--model", onnx_file, "--output", loop, "--seconds", 4, "--fps", 12, "--grid", "3x2", "--seed", 7]
    same += ["--resolution", 32, "--crf", 4, "--device", "cpu"]
    before = loop.read_bytes()
    capsys.readouterr()
    video(*same)
    assert "already there, 48 frames" in capsys.readouterr().out
    assert "got another film there already" in refusal(capsys, *same, "--no-loop")
    assert loop.read_bytes() == before
    assert [path.name for path in loop.parent.iterdir()] == ["loop.mp4"]


def test_a_smaller_film_shows_the_mean_of_its_pixels(save_model, tmp_path):
    """From a model folder, with a gray conditional network."""
    folder = save_model(tmp_path / "model", label_size=2, image_channels=1)
    path = tmp_path / "film.mp4"
    args = ["--model", folder, "--label", "-1,0.5", "--seconds", 0.5, "--fps", 4, "--resolution", 8, "--crf", 4]
    video(*args, "--output", path, "--device", "cpu", "--style", "released")
    frames, _, _ = film(path)
    assert frames.shape == (2, 8, 8, 3)
    from export.torch_generator import TorchGenerator

    z = latent_path(2, 1, 32, fps=4, seed=0, style="released")[:, 0]
    faces = TorchGenerator(folder, "cpu").uint8_images(z, np.float32([[-1, 0.5]] * 2))
    expected = faces.reshape(2, 8, 2, 8, 2).mean(axis=(2, 4))
    assert np.abs(frames.mean(axis=3) - expected).mean() < 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--output", "film.avi"], "--output: got film.avi, expected the name of an .mp4 file"),
        (["--seconds", "0.01"], "--seconds: got 0.01 at 30 fps, expected 2 frames"),
        (["--seconds", "nan"], "--seconds: got nan, expected 0 to 3600"),
        (["--fps", "0"], "--fps: got 0.0, expected 1 to 240"),
        (["--crf", "52"], "--crf: got 52, expected 0 to 51"),
        (["--seed", "-1"], "--seed: got -1, expected 0 to 4294967295"),
        (["--resolution", "12"], "--resolution: got 12, expected 16, a multiple or an integer fraction of it"),
        (["--grid", "1000x1"], "--grid: got 16000x16 pixels, expected even numbers of at most 8192"),
        (["--grid", "3"], "--grid: got '3', expected columns and rows"),
        (["--label", "0"], "--label: got 0, expected none, the model is unconditional"),
    ],
)
def test_wrong_options_are_one_line_each(onnx_file, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, "--model", onnx_file, *args).startswith(message)
    assert not list(tmp_path.iterdir())


def test_a_film_that_is_stopped_half_way_leaves_nothing(onnx_file, tmp_path, monkeypatch, capsys):
    from export import video as module

    def broken(*args):
        yield from [np.zeros((1, 16, 16, 3), np.uint8)] * 3
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "frames_of", broken)
    with pytest.raises(SystemExit, match="130"):
        video("--model", onnx_file, "--output", tmp_path / "film.mp4", "--device", "cpu")
    assert capsys.readouterr().err.endswith("python -m export: stopped; every file that bears its name is complete\n")
    assert not list(tmp_path.iterdir())
