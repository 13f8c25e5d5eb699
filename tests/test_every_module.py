"""Every module finds its tests: by its name, its folder, their import of it, or in CONTRIBUTING's table."""

import ast
import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("celebahq", "celebahq_builder", "zoo", "train", "export")
TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)


def table():
    """Pattern of modules -> their tests, as CONTRIBUTING.md has it; a name without a folder is of the row's first."""
    rows = {}
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Where a module's tests are")[1]
    for modules, tests in re.findall(r"^\| (`.*?) \| (`.*?) \|$", section, re.MULTILINE):
        first, *others = re.findall(r"`([^`]+)`", modules)
        folder = first.rpartition("/")[0]
        named = [test for test in re.findall(r"`([^`]+)`", tests) if test.startswith("tests/")]
        rows |= {pattern if "/" in pattern else f"{folder}/{pattern}": named for pattern in (first, *others)}
    return rows


def imported():
    """Dotted names of what each package's tests import."""
    found = {}
    for path in (ROOT / "tests").rglob("*.py"):
        package = path.relative_to(ROOT / "tests").parts[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found.setdefault(package, set()).update(names)
    return found


ROWS, IMPORTED = table(), imported()


@pytest.mark.parametrize("module", MODULES)
def test_every_module_finds_its_tests(module):
    package, stem = module.split("/")[0], Path(module).stem
    by_name = any(fnmatch.fnmatch(test, f"tests/{package}/*test_{stem}.py") for test in TESTS)
    by_import = module.removesuffix(".py").replace("/", ".") in IMPORTED.get(package, ())
    folder = Path("tests") / Path(module).parent
    by_folder = folder.as_posix() != f"tests/{package}" and any(Path(test).is_relative_to(folder) for test in TESTS)
    by_table = any(fnmatch.fnmatch(module, pattern) for pattern in ROWS)
    assert by_name or by_folder or by_import or by_table, (
        f"{module}: got no tests/{package}/**/test_{stem}.py, no test of {package} that imports it and no row of "
        "CONTRIBUTING's table, expected one of them"
    )


def test_the_table_names_tests_and_modules_that_exist():
    assert len(ROWS) > 10
    for pattern, tests in ROWS.items():
        assert any(fnmatch.fnmatch(module, pattern) for module in MODULES), f"{pattern}: no such module"
        assert tests and all((ROOT / test).is_file() for test in tests), f"{pattern}: {tests}"
