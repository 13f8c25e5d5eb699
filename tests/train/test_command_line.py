"""python -m train as it is typed: mistakes are one line, --help is instant."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetWriter

ROOT = Path(__file__).resolve().parents[2]


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
def test_mistake_on_the_command_line_is_one_line_and_exit_code_2(tmp_path, dataset, options, message):
    command = [sys.executable, "-m", "train", "--dataset", str(dataset), "--outdir", str(tmp_path), *options]
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
