"""No test skips silently: the reasons are counted, and .ci/run fails for all but missing hardware."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest


@pytest.mark.parametrize("number", range(3))
def test_page(number):
    pytest.skip({reason!r})


def test_rest():
    pass
"""


def run(folder, reason, *options, data="elsewhere"):
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_page.py").write_text(SKIPS.format(reason=reason))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(folder), *options],
        capture_output=True,
        text=True,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        | {"CELEBAHQ_TEST_DATA": data},
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["one process", "xdist"])
@pytest.mark.parametrize("reason", ["/nowhere: no real data here"])
def test_a_missing_tool_or_missing_data_fails_a_strict_run(tmp_path, reason, processes):
    code, out = run(tmp_path, reason, "--strict-skips", *processes)
    assert code == 1 and f"--strict-skips: 3 tests did not run: {reason}" in out


def test_a_run_that_says_it_has_no_real_data_passes_without(tmp_path):
    assert run(tmp_path, "none: no real data here", "--strict-skips", data="none")[0] == 0


def test_missing_hardware_passes_and_is_counted(tmp_path):
    code, out = run(tmp_path, "no CUDA device", "--strict-skips")
    assert code == 0 and "skipped: 3\n     3  no CUDA device" in out


def test_anybody_else_may_skip_and_reads_how_many_and_why(tmp_path):
    code, out = run(tmp_path, "no Chromium here")
    assert code == 0 and "skipped: 3\n     3  no Chromium here" in out
