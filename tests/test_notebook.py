"""examples/quickstart.ipynb is quickstart.py, cell by cell, and runs."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


def test_the_notebook_is_made_of_the_script_as_it_is_now():
    spec = importlib.util.spec_from_file_location("make_notebook", ROOT / "examples" / "make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    script = (ROOT / "examples" / "quickstart.py").read_text("utf-8")
    assert NOTEBOOK.read_text("utf-8") == module.notebook(script), "run python examples/make_notebook.py"


@pytest.mark.slow
def test_its_cells_run_in_order(tmp_path):
    shutil.copytree(ROOT / "examples" / "in-the-wild", tmp_path / "in-the-wild")
    cells = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    program = "\n".join("".join(cell["source"]) for cell in cells)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "quickstart" / "grid.png").is_file()
