"""Whatever command a page, a card or a help text prints can be typed: its program's own parser takes it."""

import contextlib
import importlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest
import tyro

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {
    "celebahq-build": "celebahq_builder.__main__",
    "celebahq-data": "celebahq_builder.dataset",
    "celebahq-train": "train.__main__",
    "celebahq-export": "export.__main__",
    "celebahq-zoo": "zoo.__main__",
    "python -m celebahq_builder": "celebahq_builder.__main__",
    "python -m train": "train.__main__",
    "python -m train.metrics": "train.metrics.__main__",
    "python -m train.benchmark": "train.benchmark",
    "python -m train.ema": "train.ema",
    "python -m train.film": "train.film",
    "python -m train.plot": "train.plot",
    "python -m train.restoration": "train.restoration.__main__",
    "python -m export": "export.__main__",
    "python -m zoo": "zoo.__main__",
}
# A name alone ("`celebahq-data info`", "python -m train") is a reference, not a command to type.
_COMMAND = re.compile(
    r"(?:celebahq-(?:build|data|train|export|zoo)|python -m (?:celebahq_builder|train|export|zoo)[\w.]*) .*"
)
_FORM = re.compile(r"\||\.\.\.|\[|…")  # a form with choices or gaps, {…} of an f-string


class ParsedError(BaseException):
    """Ends a program where it would begin to work."""


def sources():
    yield from (path.name for path in ROOT.glob("*.md"))
    for folder in ("docs", "examples", "benchmarks", "celebahq", "celebahq_builder", "zoo", "train", "export"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".md", ".py"):
                yield path.relative_to(ROOT).as_posix()


def commands(name):
    """The commands that a file prints: in fences, indented lines, code spans, and examples of docstrings."""
    text = (ROOT / name).read_text("utf-8")
    if name.endswith(".md"):
        fences = re.findall(r"^```(?:|sh|bash|shell)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        rest = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        spans = re.findall(r"`([^`]+)`", rest.replace("\n", " "))
        lines = [line for fence in fences for line in fence.splitlines()] + [" ".join(span.split()) for span in spans]
    else:
        lines = re.findall(r"^\s+(?:Example: )?((?:celebahq-|python -m ).*)$", text, re.MULTILINE)
        lines += [line for line in re.findall(r"`((?:celebahq-|python -m )[^`\n]+)`", text) if "{" not in line]
    for line in lines:
        for part in re.split(r"&&|;", re.split(r"\s+#|\s{2,}\(", line)[0]):
            found = _COMMAND.search(part)
            if found and not _FORM.search(found[0]) and " --" in found[0]:
                quoted = part[found.start() - 1 : found.start()] in ("'", '"')  # for another program to run
                yield found[0].strip().rstrip(".,:\\")[: -1 if quoted else None]


def everything():
    return sorted({(name, command) for name in sources() for command in commands(name)})


@pytest.mark.parametrize(("name", "command"), everything(), ids=str)
def test_every_printed_command_is_one_that_its_program_takes(name, command, monkeypatch):
    program = max((known for known in PROGRAMS if f"{command} ".startswith(f"{known} ")), key=len, default=None)
    assert program, f"{name} prints a program that there is not: {command}"
    module = importlib.import_module(PROGRAMS[program])
    real = tyro.cli

    def parse_only(*args, **kwargs):
        real(*args, **kwargs)
        raise ParsedError

    monkeypatch.setattr(tyro, "cli", parse_only)
    monkeypatch.setattr(sys, "argv", [program, *shlex.split(command)[len(program.split()) :]])
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises((ParsedError, SystemExit)) as ended:
        module.main()
    helped = ended.type is SystemExit and ended.value.code == 0  # --help
    assert ended.type is ParsedError or helped, f"{name} prints a command that is refused: {command}\n{said.getvalue()}"


def test_a_page_is_read_for_its_commands():
    found = {command for name, command in everything() if name == "README.md"}
    assert "celebahq-data preview faces.h5 --output preview.png" in found
    found = {command for name, command in everything() if name == "docs/building.md"}  # inside a sentence
    assert any(command.startswith("python -m train.restoration --photos DIR --net") for command in found)
