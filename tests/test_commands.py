"""The five commands as programs: no terminal and no reader makes them end in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("celebahq_builder", "celebahq_builder.dataset", "train", "zoo", "export")
OURS = ("celebahq", "celebahq_builder", "train", "zoo", "export")
BEHIND = (*MODULES, "train.metrics", "train.restoration")
INTERRUPTED = [(module, library) for module in BEHIND for library in ("logging", "tyro")]
INTERRUPTED += [(f"train.{name}", "tyro") for name in ("benchmark", "ema", "film", "plot")]
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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize(("module", "library"), INTERRUPTED)
def test_ctrl_c_while_libraries_are_imported_is_one_line(module, library, tmp_path):
    (tmp_path / f"{library}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ended = subprocess.run(
        [sys.executable, "-m", module, "--help"], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert ended.returncode == 130 and ended.stdout == ""
    assert ended.stderr.count("\n") == 1 and ": stopped" in ended.stderr.replace("interrupted", "stopped")


@pytest.mark.parametrize("module", [module for module, library in INTERRUPTED if library == "logging"])
def test_before_it_can_answer_ctrl_c_a_command_imports_little(module):
    main = module if module == "celebahq_builder.dataset" else f"{module}.__main__"
    code = f"import sys; before = set(sys.modules); import {main}; print(*sorted(set(sys.modules) - before))"
    said = subprocess.check_output([sys.executable, "-S", "-c", code], cwd=ROOT, text=True)
    ours = {name for name in said.split() if name.split(".")[0] in OURS}
    package = module.partition(".")[0]
    allowed = {"celebahq", "celebahq.command", "celebahq.errors", package, module, main}
    assert ours <= allowed and not {"tyro", "numpy", "logging", "inspect", "dataclasses"} & set(said.split())
