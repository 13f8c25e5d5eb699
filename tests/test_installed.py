"""The five programs from a wheel, in a folder whose owner has a zoo, a train and an export of his own."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN = "raise SystemExit('the program imported the module of the folder that it was started in')\n"

pytestmark = pytest.mark.slow


def run(command, folder, **options):
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder of the installed programs, in an environment that borrows the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("celebahq", "celebahq_builder", "zoo", "train", "export"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source], folder)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    packages = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    (wheel,) = folder.glob("*.whl")
    run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], folder)
    # Borrowed after the installation: pip takes a project that it finds there for installed, and installs nothing.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture(params=["modules", "packages"])
def folder(request, tmp_path):
    """A folder with zoo.py, train.py and export.py, or with packages of these names; all say so when imported."""
    for name in ("zoo", "train", "export", "celebahq_builder", "celebahq"):
        if request.param == "packages":
            (tmp_path / name).mkdir()
        (tmp_path / (f"{name}.py" if request.param == "modules" else f"{name}/__init__.py")).write_text(OWN)
    return tmp_path


def test_the_programs_run_where_zoo_train_and_export_are_somebody_elses(programs, folder):
    examples = ROOT / "examples" / "in-the-wild"
    build = [programs / "celebahq-build", "--input", examples, "--output", "f.h5", "--resolution", "16"]
    run([*build, "--restore", "off", "--workers", "2"], folder)
    assert "faces.h5" not in run([programs / "celebahq-data", "info", "f.h5"], folder)
    words = ["--dataset", "f.h5", "--preset", "smoke", "--resolution", "8", "--total-kimg", "0.05", "--device", "cpu"]
    run([programs / "celebahq-train", *words], folder)
    run([programs / "celebahq-export", "onnx", "--model", "runs/f-smoke", "--output", "f.onnx"], folder)
    run([programs / "celebahq-export", "images", "--model", "f.onnx", "--seeds", "0", "--output", "f.png"], folder)
    assert "faces-32" in run([programs / "celebahq-zoo", "list", "faces-32"], folder)
    assert (folder / "f.png").stat().st_size > 100


def test_the_modules_of_the_programs_run_there_with_a_safe_path(programs, folder):
    for module in ("train", "train.metrics", "train.restoration", "export", "zoo", "celebahq_builder"):
        assert "usage: " in run([programs / "python", "-P", "-m", module, "--help"], folder)
