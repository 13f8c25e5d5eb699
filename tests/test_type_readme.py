""".ci/type_readme.py: which lines it types, and what it takes for a failure."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from free_port import free_port  # noqa: E402


@pytest.fixture(scope="module")
def typing():
    spec = importlib.util.spec_from_file_location("type_readme", ROOT / ".ci" / "type_readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def type_page(typing, tmp_path, monkeypatch, capsys):
    """A function page -> (exit code, what it said), typed in an empty folder."""
    (tmp_path / ".ci").mkdir()

    def type_page(page):
        (tmp_path / "README.md").write_text(page)
        monkeypatch.setattr("sys.argv", ["type_readme.py", str(tmp_path)])
        code = typing.main()
        return code, capsys.readouterr().err

    return type_page


def fence(*lines):
    return "```\n" + "\n".join(lines) + "\n```\n"


def test_readme_has_its_setup_lines_first_and_no_line_twice(typing):
    lines = typing.lines_of((ROOT / "README.md").read_text("utf-8"))
    assert [line.startswith("python3 -m venv .venv && ") for line in lines[:4]] == [True, True, True, False]
    assert lines[3] == "source .venv/bin/activate" and len(set(lines)) == len(lines) > 25


def test_lines_run_in_order_in_one_folder(type_page, tmp_path):
    code, _ = type_page(
        fence("echo 1 > one") + "```text\nexit 1\n```\n" + fence("cat one > two  # reads it", "cat two")
    )
    assert code == 0 and (tmp_path / "two").read_text() == "1\n"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (["cat missing"], "ended with exit code 1"),
        (["echo 1 > one", "echo 2 > one"], "changed one, which this line made: echo 1 > one"),
        (["echo no network; exit 2"], "ended with exit code 2"),
        (["exit 2  # needs a network"], "ended with exit code 2 and without a refusal"),
        (["echo 'Traceback (most recent call last)'; exit 1  # needs a network"], "ended with a traceback"),
        (["true; exit 1  # a server until Ctrl-C"], "ended with exit code 1 before it answered"),
    ],
)
def test_a_line_that_cannot_be_typed_is_named(type_page, lines, wrong):
    code, said = type_page(fence(*lines))
    assert code == 1 and said == f"README.md: {lines[-1]}\n  {wrong}\n"


def test_a_line_may_end_with_a_refusal_where_it_says_what_it_needs(type_page):
    assert type_page(fence("echo network: unreachable >&2; exit 2  # needs a network"))[0] == 0


def test_a_server_is_asked_and_stopped(type_page, unused_port):
    line = f"echo http://127.0.0.1:{unused_port}; python3 -m http.server {unused_port} --bind 127.0.0.1  # a server"
    assert type_page(fence(line)) == (0, "")
    assert type_page(fence(line)) == (0, "")  # the port is free again


@pytest.fixture
def unused_port():
    return free_port()
