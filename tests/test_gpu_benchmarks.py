"""The jobs of benchmarks/gpu/README.md where there is no GPU: each starts, and says so in one line."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from train.__main__ import _config
from train.options import given_options
from train.plan import Plan
from train.unused_options import check_given, check_given_for

ROOT = Path(__file__).resolve().parents[1]
JOBS = re.findall(r"`python (benchmarks/[^`]*)`", (ROOT / "benchmarks" / "gpu" / "README.md").read_text())
JOBS = [job for job in JOBS if "memory_traffic" not in job]  # which needs none


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=lambda job: Path(job.split()[0]).stem)
def test_every_job_refuses_a_machine_without_cuda_in_one_line(job, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here, on which the jobs would run")
    words = [re.sub(r"^(STATE|OUT|PHOTOS|.*\.(zip|txt|json))$", str(tmp_path / "x"), word) for word in shlex.split(job)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "CUDA device" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_options_that_ranks_gives_the_trainer_are_all_of_use(monkeypatch):
    folder = ROOT / "benchmarks" / "gpu"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    spec = importlib.util.spec_from_file_location("gpu_ranks", folder / "ranks.py")  # tests have a module "ranks", too
    ranks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ranks)
    words = ["--dataset", "f.h5", "--total-kimg", "24", *ranks.OPTIONS]
    config, given = _config(words), given_options(words)
    growth = {"stable_kimg": 8, "fade_kimg": 8, "max_resolution": 16, "first_resolution": 4}
    check_given(config, Plan(16, growth, 24), given)
    check_given_for(torch.device("cuda"), config, given)


def test_the_readme_lists_every_job():
    """Kept beside the check above, which would pass where none was found."""
    assert {Path(job.split()[0]).name for job in JOBS} >= {p.name for p in (ROOT / "benchmarks" / "gpu").glob("*.py")}
