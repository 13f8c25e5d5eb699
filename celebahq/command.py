"""The one way for a command to run and to end: what is printed where, and with which exit code."""

import contextlib
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from celebahq.errors import CelebAHQError
from celebahq.files import printable
from celebahq.progress import show_progress

T = TypeVar("T")
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + the signal, as of a program that the signal killed."""
FIRST_RANK_SECONDS = 60
"""Within these the first rank has started, read its options and said what is wrong, on a busy machine too."""


def run_command(
    main: Callable[[], int | bool | None],
    prog: str,
    *,
    interrupted: str = "stopped; every file that it made is complete",
) -> NoReturn:
    """Run a command and exit.

    - What the library tells its logger "celebahq" goes to stdout, warnings to stderr; progress is shown.
    - CelebAHQError, and errors of the file system that name a file: `prog: message` on stderr, exit code of the error.
    - Ctrl-C: `prog: {interrupted}`, exit code 130. A reader that has gone (`| head`): silence, 141.
    - Anything else is a fault of this program and crashes.

    Args:
        main: returns the exit code; None or True is 0, False is 1.
        prog: as it is typed, as in "celebahq-build".
        interrupted: what a user wants to know after Ctrl-C.
    """
    _begin_as_from_a_shell()
    _never_fail_to_encode()
    _print_what_is_logged()
    show_progress()
    try:
        try:
            code = main()
        finally:  # also after --help, which ends by SystemExit: a reader that has gone is noticed here at the latest
            sys.stdout.flush()
    except CelebAHQError as error:
        _end(prog, str(error), error.exit_code)
    except BrokenPipeError:
        _stop_writing()
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        if error.errno and not error.strerror:  # our own words of a disk that has no room
            _end(prog, str(error), 2)
        if not error.filename or not error.strerror:
            raise
        _end(prog, f"{error.filename}: {error.strerror}", 2)
    except KeyboardInterrupt:
        _end(prog, interrupted, INTERRUPTED)
    sys.exit(0 if code is None or code is True else int(code) if code is not False else 1)


def refuse_torchrun(what: str) -> None:
    """Raise CelebAHQError where torchrun has started several processes of what runs in one; all but the first just end.

    Args:
        what: names the command.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count == "1" or "RANK" not in os.environ:
        return
    if os.environ["RANK"] != "0":
        end_after_the_first_rank(2)
    raise CelebAHQError(f"torchrun: got {count} processes, expected one: {what} runs in one; start it with python")


def parsed_on_every_rank(parse: Callable[[], T]) -> T:
    """Return what parse() makes of the command line; of torchrun's processes the first alone says what is wrong.

    Args:
        parse: raises CelebAHQError or SystemExit where an option is wrong.
    """
    if os.environ.get("RANK", "0") == "0":
        return parse()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            return parse()
        except CelebAHQError as error:
            end_after_the_first_rank(error.exit_code)
        except SystemExit as error:  # tyro's
            if error.code == 0:  # after --help
                raise
            end_after_the_first_rank(2)


def end_after_the_first_rank(code: int) -> NoReturn:
    """Exit a process of torchrun that has nothing to say, once the first has spoken and torchrun ends the others.

    torchrun ends all as soon as one has failed: who fails in silence first would keep the first rank from saying why.
    """
    launcher, until = os.getppid(), time.monotonic() + FIRST_RANK_SECONDS
    while os.getppid() == launcher and time.monotonic() < until:
        time.sleep(0.1)
    sys.exit(code)


def _end(prog: str, message: str, code: int) -> NoReturn:
    try:
        sys.stdout.flush()
        lines = "\n".join(map(printable, message.splitlines())) or "failed"
        print(f"{prog}: {lines}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        _stop_writing()
    sys.exit(code)


def _begin_as_from_a_shell() -> None:
    """Undo what daemons leave to those they start: no stdin or stdout, whose numbers the next file would take over.

    And SIGCHLD ignored: the system then says of no child process how it ended.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # which takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    if hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _never_fail_to_encode() -> None:
    """A name that the terminal's encoding lacks is spelled out instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # replaced by a test or a notebook
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _stop_writing() -> None:
    """Let the interpreter's own flush at exit go nowhere; else it prints a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Printer(logging.Handler):
    """Prints what the library says: on stdout, so that it can be piped; warnings on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout, flush=True)


def _print_what_is_logged() -> None:
    logger = logging.getLogger("celebahq")
    if not any(isinstance(handler, _Printer) for handler in logger.handlers):
        logger.addHandler(_Printer())
    logger.setLevel(logging.INFO)
    logger.propagate = False
