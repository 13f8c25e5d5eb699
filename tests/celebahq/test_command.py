"""How a command ends: messages, exit codes, encodings and readers that have gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import logging, os, signal
from celebahq.command import run_command
from celebahq.errors import CelebAHQError
from celebahq.progress import progress

class UploadError(CelebAHQError):
    exit_code = 1

def main():
    {body}

run_command(main, "celebahq-test")
"""


def run(body: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("body", "code", "stderr"),
    [
        ("return None", 0, ""),
        ("return False", 1, ""),
        ("return 3", 3, ""),
        ("raise CelebAHQError('--input: got nothing')", 2, "celebahq-test: --input: got nothing\n"),
        ("raise UploadError('refused')", 1, "celebahq-test: refused\n"),
        ("raise CelebAHQError('a\\x1b[31m\\nb')", 2, "celebahq-test: a\\x1b[31m\nb\n"),
        ("open('/no/such/file')", 2, "celebahq-test: /no/such/file: No such file or directory\n"),
        (
            "error = OSError('a.h5: needs 9 MB, 1 MB are free'); error.errno = 28; raise error",
            2,
            "celebahq-test: a.h5: needs 9 MB, 1 MB are free\n",
        ),
        (
            "os.kill(os.getpid(), signal.SIGINT)",
            130,
            "celebahq-test: stopped; every file that it made is complete\n",
        ),
    ],
)
def test_command_ends_in_one_line_and_with_the_code_of_its_error(body, code, stderr):
    done = run(body)
    assert (done.returncode, done.stderr, done.stdout) == (code, stderr, "")


def test_ctrl_c_within_an_exec_of_a_text_has_the_same_code_under_python_m(tmp_path):
    """As of dataclasses while they are defined; Python itself then ends a program of -m by the signal."""
    (tmp_path / "interrupted.py").write_text(PROGRAM.format(body="exec('os.kill(os.getpid(), signal.SIGINT)')"))
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (130, 1)


def test_any_other_exception_crashes_with_its_traceback():
    done = run("raise ValueError('a fault')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_reader_that_has_gone_ends_the_command_in_silence():
    program = PROGRAM.format(body="\n    ".join(["for i in range(100000):", "    print(i)"]))
    shell = f'{sys.executable} -c "$PROGRAM" | head -n 1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", shell],
        env={"PROGRAM": program, "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["0", "141"]
    assert done.stderr == ""


def test_terminal_without_a_letter_gets_it_spelled_out():
    done = run("print('\\u2192 \\u00e9')", {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (0, "\\u2192 \\xe9\n")


def test_what_the_library_logs_is_printed_and_warnings_go_to_stderr():
    body = "logging.getLogger('celebahq').info('made %d', 3); logging.getLogger('celebahq.x').warning('slow')"
    done = run(body)
    assert (done.stdout, done.stderr) == ("made 3\n", "slow\n")


def test_progress_is_shown_by_a_command_and_silent_in_the_library():
    body = "\n    ".join(
        ["with progress('faces', 2, 'faces') as bar:", "    bar.advance()", "    bar.advance(note='fine')"]
    )
    done = run(body)
    assert done.stderr.startswith("faces: 2/2, ") and done.stderr.endswith("; fine\n")
    silent = "from celebahq.progress import progress\nwith progress('faces', 1) as bar:\n    bar.advance()"
    assert subprocess.run([sys.executable, "-c", silent], cwd=ROOT, capture_output=True, text=True).stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows passes descriptors and signals on in other ways")
@pytest.mark.parametrize("closed", [(0, 1), (0, 1, 2)])
def test_a_command_that_a_daemon_started_ends_as_any_other_and_no_file_of_its_own_is_written_into(tmp_path, closed):
    body = (
        f"file = open({str(tmp_path / 'file')!r}, 'w'); print('said'); "
        "logging.getLogger('celebahq').warning('careful'); os.system('echo more'); file.write('mine'); "
        "file.close(); pid = os.fork() or os._exit(5); return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )

    def as_a_daemon():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for number in closed:
            os.close(number)

    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    ended = subprocess.run(command, cwd=ROOT, preexec_fn=as_a_daemon, capture_output=True, text=True)
    assert ended.returncode == 5 and (tmp_path / "file").read_text() == "mine"
    assert ended.stderr == ("" if 2 in closed else "careful\n")
