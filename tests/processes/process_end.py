"""How tests wait for what processes do: for a state, never for a time; what fails shows all that the process said."""

import subprocess
import time
from collections.abc import Callable

import pytest

HANGS = 600.0
"""Seconds after which what was waited for counts as never coming, on a machine however slow; nothing is timed by it."""


def finish(process: subprocess.Popen, seconds: float = HANGS) -> tuple[str, str]:
    """Return what a process wrote to stdout and stderr until its end; one that hangs is killed, and fails the test."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return _fail(process, f"still at work after {seconds:g} s")


def wait_until(moment: Callable[[], object], process: subprocess.Popen | None = None, seconds: float = HANGS) -> None:
    """Wait until moment() is true; a process that ends before it comes fails the test."""
    end = time.monotonic() + seconds
    while not moment():
        if process is not None and process.poll() is not None and not moment():
            _fail(process, "ended before what the test waits for")
        if time.monotonic() > end:
            _fail(process, f"what the test waits for did not come within {seconds:g} s")
        time.sleep(0.01)


def _fail(process: subprocess.Popen | None, what: str) -> tuple[str, str]:
    """Fail the test with all that a process has said; kill it first where it is at work."""
    if process is None:
        pytest.fail(what)
    process.kill()
    try:
        parts = process.communicate(timeout=10)
    except subprocess.TimeoutExpired as error:  # one that it started holds the pipes
        parts = (error.stdout, error.stderr)
    texts = [part.decode(errors="replace") if isinstance(part, bytes) else part or "" for part in parts]
    command = " ".join(map(str, process.args)) if isinstance(process.args, list) else process.args
    pytest.fail(f"{command}\n{what}; exit code {process.returncode}\n--- stdout\n{texts[0]}\n--- stderr\n{texts[1]}")
