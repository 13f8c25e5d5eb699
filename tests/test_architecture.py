"""Who may import whom, how long a file may be, and that its first line says what it is for."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "celebahq": set(),
    "zoo": {"celebahq"},
    "celebahq_builder": {"celebahq", "zoo"},
    "train": {"celebahq", "zoo", "celebahq_builder.hdf5"},
    "export": {"celebahq", "zoo"},
}
LAZY = "celebahq/__init__.py"
"""The public names, each loaded at its first use: tests/celebahq/test_api.py proves that importing it loads none."""
DRAWERS = {"utils", "util", "common", "misc", "helpers", "helper", "lib", "base"}
SOURCES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
PYTHON = SOURCES + sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def our_imports(path: Path) -> set[str]:
    """Every module of ours that a file imports, at its top or within its functions, relative imports resolved."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parent.parts
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {module for module in found if module.split(".")[0] in MAY_IMPORT}


def allowed(module: str, package: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in MAY_IMPORT[package] | {package})


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_imports_only_what_lies_below_it(package):
    for path in (ROOT / package).rglob("*.py"):
        if name(path) == LAZY:
            continue
        strangers = {module for module in our_imports(path) if not allowed(module, package)}
        assert not strangers, f"{name(path)} must not import {sorted(strangers)}"


def test_import_rule_sees_through_every_spelling(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "train" / "metrics" / "swd.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import numpy, export.hub.card\nfrom celebahq_builder import build\n"
        "from celebahq_builder.hdf5 import open_dataset\nfrom .. import loop\ndef late():\n    from . import kid\n"
    )
    found = our_imports(path)
    assert found == {
        "export.hub.card",
        "celebahq_builder.build",
        "celebahq_builder.hdf5.open_dataset",
        "train.loop",
        "train.metrics.kid",
    }
    assert {module for module in found if not allowed(module, "train")} == {"export.hub.card", "celebahq_builder.build"}


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_first_line_says_what_the_file_is_for(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring and path.read_text().startswith('"""'), f"{name(path)} begins with no docstring"


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_no_file_is_longer_than_300_lines(path):
    lines = len(path.read_text().splitlines())
    assert lines <= 300, f"{name(path)} has {lines} lines"


def test_no_file_is_a_drawer_for_odds_and_ends():
    assert not [name(path) for path in SOURCES if path.stem in DRAWERS]


def test_no_file_shares_its_name_with_a_library_it_imports():
    for path in SOURCES:
        imported = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert path.stem not in imported, f"{name(path)} hides the library {path.stem}"


def test_every_folder_of_code_goes_into_the_wheel():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted({name(path.parent).replace("/", ".") for path in SOURCES})
