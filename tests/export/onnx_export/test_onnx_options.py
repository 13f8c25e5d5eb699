"""The options of the export: images, half the bytes, any resolution, weights beside the file."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import zoo
from export.config import UsageError
from export.onnx_export import to_onnx
from export.onnx_export.parity import ParityError, check, parity
from export.onnx_export.to_onnx import export_onnx
from export.sample import UnusableModelError, latents, load_onnx, to_uint8

Z = np.concatenate([latents(range(6), 32), np.zeros((1, 32), np.float32)])


def run(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["images"], {"z": Z})[0]


@pytest.fixture(scope="module")
def uint8_file(model, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("uint8") / "faces.onnx", uint8=True).path


@pytest.fixture(scope="module")
def fp16_file(model, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("fp16") / "faces.onnx", uint8=True, precision="fp16").path


def test_images_are_the_bits_that_rounding_outside_gives(onnx_file, uint8_file):
    images, rounded = run(onnx_file), run(uint8_file)
    assert rounded.dtype == np.uint8 and rounded.shape == (7, 16, 16, 3)
    assert np.abs(images).max() > 1, "nothing is clipped"
    np.testing.assert_array_equal(rounded, np.clip(np.rint(images * 127.5 + 127.5), 0, 255).transpose(0, 2, 3, 1))


def test_float16_weights_generate_the_same_within_a_gray_level_from_fewer_bytes(onnx_file, uint8_file, fp16_file):
    full, half = run(uint8_file).astype(int), run(fp16_file).astype(int)
    assert np.abs(full - half).max() == 1
    weights = sum(tensor.ByteSize() for tensor in onnx.load(onnx_file).graph.initializer if len(tensor.dims) > 1)
    assert onnx_file.stat().st_size - fp16_file.stat().st_size > 0.4 * weights


def test_inputs_stay_float32_and_zero_latents_finite_in_float16(model, tmp_path):
    path = export_onnx(model, tmp_path / "half.onnx", precision="fp16").path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert {value.type for value in (*session.get_inputs(), *session.get_outputs())} == {"tensor(float)"}
    assert np.isfinite(run(path)).all()
    assert load_onnx(path, "cpu").metadata["precision"] == "fp16"


@pytest.mark.parametrize("name", ["uint8_file", "fp16_file"])
def test_no_option_brings_a_local_path_into_the_file(name, model, request):
    content = request.getfixturevalue(name).read_bytes()
    for text in (b"site-packages", b"/home/", b".py", str(model.parent).encode(), b"Traceback", b"stack_trace"):
        assert text not in content, text


@pytest.mark.parametrize("resolution", [4, 8])
def test_a_resolution_that_it_grew_through_is_exported_as_it_generates(model, tmp_path, resolution):
    path = export_onnx(model, tmp_path / "small.onnx", resolution=resolution).path
    expected = zoo.load(model)(torch.from_numpy(Z), resolution=resolution).numpy()
    np.testing.assert_allclose(run(path), expected, rtol=0, atol=1e-4)
    generate = load_onnx(path, "cpu")
    assert generate.metadata["resolution"] == str(resolution) == str(generate.resolution)
    names = {tensor.name for tensor in onnx.load(path).graph.initializer}
    carried = {name.split(".")[1] for name in names if name.startswith("to_rgb.")}
    assert carried == {f"{resolution}x{resolution}"} and not any(name.startswith("blocks.16x16.") for name in names)


@pytest.mark.parametrize(
    ("architecture", "resolution", "wanted"),
    [({}, 32, "4, 8, 16"), ({}, 5, "4, 8, 16"), ({"single_resolution": True}, 8, "16"), ({"lod": 0.5}, 3, "4, 8, 16")],
)
def test_a_resolution_that_it_never_gave_is_refused(save_model, tmp_path, architecture, resolution, wanted):
    folder = save_model(tmp_path / "model", **architecture)
    with pytest.raises(
        UsageError, match=f"--resolution: got {resolution}, expected one that the generator gives: {wanted}$"
    ):
        export_onnx(folder, tmp_path / "a.onnx", resolution=resolution)


def test_a_precision_that_there_is_not_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(UsageError, match="--precision: got 'fp8', expected fp32 or fp16"):
        export_onnx(tmp_path / "nowhere", precision="fp8")


@pytest.mark.slow
def test_weights_beside_the_file_belong_to_it(model, tmp_path, onnx_file, monkeypatch):
    """Asked for, or because one file cannot hold them, which is imagined here at 10 kB instead of 2 GB."""
    asked, needed = tmp_path / "asked.onnx", tmp_path / "needed.onnx"
    reports = [export_onnx(model, asked, external_data=True)]
    monkeypatch.setattr(to_onnx, "LARGEST_FILE", 10_000)
    reports.append(export_onnx(model, needed))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "asked.onnx", "asked.onnx.data", "needed.onnx", "needed.onnx.data",
    ]  # fmt: skip
    for path, report in zip((asked, needed), reports, strict=True):
        np.testing.assert_array_equal(run(path), run(onnx_file))
        assert f"the weights lie in {path.name}.data beside it" in str(report)
        assert report.size > 4 * path.stat().st_size
        assert path.with_name(f"{path.name}.data").stat().st_mode == path.stat().st_mode
    assert "already there, checked" in str(export_onnx(model, needed))
    alone = shutil.copy(asked, tmp_path / "elsewhere.onnx")
    asked.with_name("asked.onnx.data").unlink()
    with pytest.raises(UnusableModelError, match=r"its weights, a \.data file beside it, are not there"):
        load_onnx(alone, "cpu")
    monkeypatch.undo()
    export_onnx(model, needed, overwrite=True)
    assert not (tmp_path / "needed.onnx.data").exists()


def test_an_option_gives_a_file_of_its_own_name(save_model, tmp_path):
    folder = save_model(tmp_path)
    assert export_onnx(folder, resolution=8, uint8=True, precision="fp16").path.name == "model-8-uint8-fp16.onnx"
    with pytest.raises(UsageError, match="got no export of these weights there"):
        export_onnx(folder, folder / "model-8-uint8-fp16.onnx", resolution=8, uint8=True)


def test_an_image_that_is_a_level_off_is_noticed(model):
    generator = zoo.load(model)

    def reference(z):
        return generator(torch.from_numpy(z)).numpy()

    def brighter(z):
        return np.minimum(to_uint8(reference(z)), 254) + np.uint8(1)

    check(parity(lambda z: to_uint8(reference(z)), reference, 32, 0), "right.onnx")
    with pytest.raises(ParityError, match=r"expected at most 1e-04"):
        check(parity(brighter, reference, 32, 0), "bright.onnx")
    with pytest.raises(ParityError, match="--model: got NaN from PyTorch itself, of random latents"):
        parity(reference, lambda z: reference(z) * np.float32(np.nan), 32, 0)
