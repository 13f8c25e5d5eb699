"""The five commands as programs: no terminal and no reader makes them end in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("celebahq_builder", "celebahq_builder.dataset", "train", "zoo", "export")
ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}


def start(module, *words, folder=None, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


@pytest.mark.parametrize("module", MODULES)
def test_help_is_printed_where_only_ascii_can_be(module):
    process = start(module, "--help", **ASCII)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"") and out.startswith(b"usage: ")


@pytest.mark.parametrize("module", MODULES)
def test_reader_that_has_gone_ends_a_command_in_silence(module):
    process = start(module, *(["list"] if module == "zoo" else ["--help"]))
    process.stdout.close()  # as `| head` does once it has seen enough, here before the first line
    assert process.stderr.read() == b"" and process.wait() == 141


@pytest.mark.parametrize("module", MODULES)
def test_wrong_words_and_a_name_beyond_ascii_are_told_without_a_traceback(module):
    name = "\N{CJK UNIFIED IDEOGRAPH-8A9E}.onnx"
    words = {
        "celebahq_builder": ["--input", name],
        "celebahq_builder.dataset": ["info", name],
        "train": ["--dataset", name],
        "zoo": ["show", name],
        "export": ["images", "--model", name, "--seeds", "0"],
    }[module]
    process = start(module, *words, **ASCII)
    err = process.communicate()[1]
    assert process.returncode == 2 and b"Traceback" not in err
    assert rb"\u8a9e.onnx" in err and err.count(b"\n") == 1
