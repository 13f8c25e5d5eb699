"""The public names: lazy, listed, and ours whatever lies in the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import celebahq

ROOT = Path(__file__).resolve().parent.parent.parent


def python(program: str, folder: Path = ROOT) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, env=environment, check=True, text=True, capture_output=True).stdout


def test_importing_the_package_loads_nothing_else():
    heavy = "{'torch', 'numpy', 'PIL', 'h5py', 'zoo', 'train', 'export', 'celebahq_builder', 'tyro'}"
    assert python(f"import sys, celebahq; print(sorted({heavy} & set(sys.modules)))") == "[]\n"


@pytest.mark.parametrize("name", celebahq.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(celebahq, name)
    assert name in dir(celebahq)
    assert isinstance(value, str) or value.__doc__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'bild'"):
        celebahq.bild  # noqa: B018


def test_files_of_the_user_with_our_names_change_nothing(tmp_path):
    for name in ("zoo", "train", "export"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the user\\'s own file was run')")
    program = "import celebahq; print(celebahq.load.__module__, celebahq.TrainConfig.__module__)"
    assert python(program, tmp_path) == "zoo train.config\n"


def test_a_stranger_under_our_name_is_named(tmp_path):
    (tmp_path / "zoo.py").write_text("")
    program = "import zoo, celebahq\ntry:\n    celebahq.load\nexcept ImportError as error:\n    print(error)"
    assert python(program, tmp_path) == (
        f"zoo: got {tmp_path / 'zoo.py'}, expected the package of celebahq of that name; rename that file\n"
    )
