"""Make quickstart.ipynb of quickstart.py: the same lines, a cell each paragraph.

python examples/make_notebook.py
"""

import ast
import json
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
SHOW = 'Image.open(folder / "grid.png")'


def notebook(script: str) -> str:
    """Return the notebook, nbformat 4.5, of a script with a docstring, imports and a function main(folder)."""
    module = ast.parse(script)
    lines = script.splitlines()
    main = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    first, *_ = (ast.get_docstring(module) or "").split("\n")
    imports = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    head = lines[imports[0].lineno - 1 : imports[-1].end_lineno]
    head = "\n".join(line for line in head if line != "import sys")
    body = textwrap.dedent("\n".join(lines[main.body[0].lineno - 1 : main.end_lineno]))
    body = body.replace("Path(__file__).parent / ", "Path.cwd() / ")
    paragraphs = [f'{head}\n\nfolder = Path("quickstart")', *body.split("\n\n"), SHOW]
    intro = f"# Quickstart\n\n{first} Made of `quickstart.py`; run it in this folder, `examples/`."
    cells = [_cell("markdown", intro, 0)]
    cells += [_cell("code", text, i) | {"execution_count": None, "outputs": []} for i, text in enumerate(paragraphs, 1)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, indent=1) + "\n"


def _cell(kind: str, text: str, number: int) -> dict:
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}


if __name__ == "__main__":
    made = notebook((HERE / "quickstart.py").read_text(encoding="utf-8"))
    (HERE / "quickstart.ipynb").write_text(made, encoding="utf-8")
