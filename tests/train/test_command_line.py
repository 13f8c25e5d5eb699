"""python -m train as it is typed: mistakes are one line, --help is instant."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetWriter

sys.path.insert(0, str(Path(__file__).parent))
from launch import ROOT, finish


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "faces.h5"
    with DatasetWriter(path, 16, 1) as writer:
        writer.write({r: np.zeros((3, r, r), np.uint8) for r in (16, 8, 4, 2, 1)})
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resolution", "100"], "--resolution: got 100, expected a power of two from 4"),
        (["--minibatch", "0"], "--minibatch: got 0, expected more than 0"),
        (["--preset", "papper"], "--preset: got 'papper', expected one of paper, released"),
        (["--dataset", "missing.h5"], "missing.h5"),
    ],
)
def test_mistake_on_the_command_line_is_one_line_and_exit_code_2(tmp_path, dataset, typed, options, message):
    code, said = typed("train", "--dataset", dataset, "--outdir", tmp_path, *options)
    assert code == 2 and message in said
    assert len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize("module", ["train", "train.metrics"])
def test_mistake_is_one_line_from_a_process_of_its_own_too(tmp_path, module):
    """Nothing that is imported on the way, torch for one, has anything to say."""
    options = ["--outdir", str(tmp_path)] if module == "train" else ["--model", "faces-32", "--metrics", "swd"]
    command, message = [sys.executable, "-m", module, "--dataset", "missing.h5", *options], "missing.h5"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_help_teaches_without_importing_torch():
    program = """
import sys
sys.argv = ["train", "--help"]
from train.__main__ import main
try:
    main()
except SystemExit:
    print("torch" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "False"
    assert "--total-kimg" in done.stdout
    assert "python -m train --dataset celeba128.h5 --preset smoke" in done.stdout


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (
            "train.benchmark",
            ["--preset", "paper", "--device", "cpu", "--resolutions", "4-1024", "--precisions", "fp32"],
        ),
        ("train.metrics", ["--model", "faces-32", "--metrics", "msssim", "--num-images", "100000", "--device", "cpu"]),
    ],
)
def test_ctrl_c_ends_long_work_in_one_line(module, options, tmp_path):
    command = [sys.executable, "-m", module, *options]
    if module == "train.metrics":
        command += ["--output", str(tmp_path / "metrics.json")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline(), process.stderr.read()  # it is at work
    process.send_signal(signal.SIGINT)
    _, errors = finish(process)
    assert process.returncode == 130, errors
    lines = [line for line in errors.splitlines() if not line.startswith(("4x4:", "MS-SSIM of"))]
    assert len(lines) == 1 and lines[0].startswith(f"{module}: stopped")


def test_metrics_are_named_with_commas_or_as_words(tmp_path, dataset, monkeypatch, capsys):
    from train.__main__ import main as train_main
    from train.config import TrainConfig
    from train.metrics.__main__ import main as metrics_main
    from train.metrics.config import MetricsConfig

    for metrics in (("swd", "msssim"), ("swd,msssim",), "swd,msssim", ("swd,", "msssim")):
        assert TrainConfig(dataset=str(dataset), metrics=metrics).metrics == ("swd", "msssim")
        assert MetricsConfig(model=tmp_path, dataset=dataset, metrics=metrics).names == ["swd", "msssim"]
    for words in (["swd", "msssim"], ["swd,msssim"]):
        for main, folder in ((train_main, ["--outdir"]), (metrics_main, ["--model", "x", "--output"])):
            program = ["program", "--dataset", "missing.h5", *folder, str(tmp_path), "--metrics", *words]
            monkeypatch.setattr(sys, "argv", program)
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr().err  # about missing.h5, or the model
            assert ended.value.code == 2 and said and "metrics" not in said.replace("train.metrics", ""), said
