"""What tests say of a process that hangs or ends too early: its whole output, and it is killed."""

import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from free_port import free_port
from process_end import finish, wait_until

SAYS = "import sys, time; print('first line', flush=True); print('a\\nb', file=sys.stderr); time.sleep({})"
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def start(seconds):
    return subprocess.Popen([sys.executable, "-c", SAYS.format(seconds)], **PIPES)


def test_output_of_a_process_that_ends_is_returned():
    assert finish(start(0)) == ("first line\n", "a\nb\n")


def test_process_that_hangs_is_killed_and_its_whole_output_shown():
    process = start(600)
    assert select.select([process.stderr], [], [], 300)[0], "it has said all that it says"
    with pytest.raises(pytest.fail.Exception, match=r"(?s)still at work after 0.5 s.*first line.*a\nb"):
        finish(process, 0.5)
    assert process.poll() is not None


def test_process_that_ends_before_its_moment_fails_with_its_whole_output_and_not_after_it(tmp_path):
    with pytest.raises(pytest.fail.Exception, match=r"(?s)ended before.*exit code 0.*first line.*a\nb"):
        wait_until((tmp_path / "never").exists, start(0))
    process = start(0)
    finish(process)
    wait_until(lambda: True, process)


def test_moment_that_never_comes_fails_though_the_process_goes_on():
    process, began = start(600), time.monotonic()
    with pytest.raises(pytest.fail.Exception, match=r"did not come within 0\.5 s"):
        wait_until(lambda: False, process, 0.5)
    assert process.poll() is not None and time.monotonic() - began < 300


def test_a_free_port_can_be_bound_and_is_none_of_those_that_connections_get():
    port = free_port()
    assert 20_000 <= port < 32_000
    with socket.create_server(("127.0.0.1", port)) as server:
        assert server.getsockname()[1] == port
