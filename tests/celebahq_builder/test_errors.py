"""Every error of the builder is one of CelebAHQError, is named ...Error, and what was a ValueError still is one."""

import ast
import importlib
from pathlib import Path

import pytest

import celebahq_builder
from celebahq.errors import CelebAHQError

FOLDER = Path(celebahq_builder.__file__).parent


def errors() -> list[tuple[str, str]]:
    """(module, class) of every class that derives from something named like an exception."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        module = ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases
            ):
                found.append((module, node.name))
    return found


@pytest.mark.parametrize(("module", "name"), errors())
def test_error_has_the_one_root_and_ends_in_error(module, name):
    cls = getattr(importlib.import_module(module), name)
    assert issubclass(cls, CelebAHQError) and name.endswith("Error")
    assert cls.exit_code in (1, 2)


def test_errors_that_were_value_errors_still_are():
    names = {"ArchiveError", "DamagedJPEGError", "DatasetError", "SourceError", "UnsupportedJPEGError"}
    found = {name: getattr(importlib.import_module(module), name) for module, name in errors()}
    assert names <= found.keys()
    assert all(issubclass(found[name], ValueError) for name in names)
