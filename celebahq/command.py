"""The one way for a command to run and to end: what is printed where, and with which exit code.

Imports only what it needs to answer Ctrl-C; the rest, and all that a command needs, is imported behind run_command.
"""

import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from celebahq.errors import CelebAHQError

T = TypeVar("T")
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + the signal, as of a program that the signal killed."""
FIRST_RANK_SECONDS = 60
"""Within these the first rank has started, read its options and said what is wrong, on a busy machine too."""
_importing = ""
"""The command whose module is being imported."""


def run_command(
    main: Callable[[], int | bool | None],
    prog: str,
    *,
    interrupted: str = "stopped; every file that it made is complete",
    has_ranks: bool = False,
) -> NoReturn:
    """Run a command and exit.

    - What the library tells its logger "celebahq" goes to stdout, warnings to stderr; progress is shown.
    - CelebAHQError, and errors of the file system that name a file: `prog: message` on stderr, exit code of the error.
    - torchrun, where has_ranks is not set: refused, one line of the first rank.
    - Ctrl-C: `prog: {interrupted}`, exit code 130. A reader that has gone (`| head`): silence, 141.
    - Anything else is a fault of this program and crashes.

    Args:
        main: returns the exit code; None or True is 0, False is 1.
        prog: as it is typed, as in "celebahq-build".
        interrupted: what a user wants to know after Ctrl-C.
        has_ranks: whether torchrun's processes work together on it.
    """
    if signal.getsignal(signal.SIGINT) is _end_while_importing:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _begin_as_from_a_shell()
        _never_fail_to_encode()
        _print_what_is_logged()
        _show_progress()
        try:
            if not has_ranks:
                _refuse_torchrun()
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
        exec("")  # where it came within an exec of a text, as of dataclasses, Python would end as if nobody caught it
        _end(prog, interrupted, INTERRUPTED)
    sys.exit(0 if code is None or code is True else int(code) if code is not False else 1)


def interrupted_in_one_line(prog: str) -> None:
    """Have Ctrl-C end what is run as `python -m` in one line from now on, before run_command takes over.

    For a module that defines its options, for which it imports libraries, and is the command as well.
    """
    global _importing
    _importing = prog
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as of what a shell runs with &
        signal.signal(signal.SIGINT, _end_while_importing)


def parsed_on_every_rank(parse: Callable[[], T]) -> T:
    """Return what parse() makes of the command line; of torchrun's processes the first alone says what is wrong.

    Args:
        parse: raises CelebAHQError or SystemExit where an option is wrong.
    """
    if not is_one_of_several() or os.environ["RANK"] == "0":
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


def is_one_of_several() -> bool:
    """Whether torchrun, or what does its work, has started this process as one of several that can meet.

    A scheduler may set WORLD_SIZE and RANK for all that runs in a job of several machines.
    """
    meets = {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    return meets and os.environ.get("WORLD_SIZE", "1") != "1"


def end_after_the_first_rank(code: int) -> NoReturn:
    """Exit a process of torchrun that has nothing to say, once the first has spoken and torchrun ends the others.

    torchrun ends all as soon as one has failed: who fails in silence first would keep the first rank from saying why.
    """
    launcher, until = os.getppid(), time.monotonic() + FIRST_RANK_SECONDS
    while os.getppid() == launcher and time.monotonic() < until:
        time.sleep(0.1)
    sys.exit(code)


def _end_while_importing(signum: int, frame: object) -> NoReturn:
    """At once: an exception would run through whatever library is being imported."""
    os.write(2, f"{_importing}: stopped before it began\n".encode())
    os._exit(INTERRUPTED)


def _show_progress() -> None:
    from celebahq.progress import show_progress

    show_progress()


def _refuse_torchrun() -> None:
    """Raise CelebAHQError where torchrun has started several processes of what runs in one; all but the first end."""
    if not is_one_of_several():
        return
    if os.environ["RANK"] != "0":
        end_after_the_first_rank(2)
    count = os.environ["WORLD_SIZE"]
    raise CelebAHQError(f"torchrun: got {count} processes, expected one; this command runs in one: start it by itself")


def _end(prog: str, message: str, code: int) -> NoReturn:
    from celebahq.files import printable

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


def _print_what_is_logged() -> None:
    """Print what the library says: on stdout, so that it can be piped; warnings on stderr."""
    import logging

    class Printer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            file = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            print(record.getMessage(), file=file, flush=True)

    logger = logging.getLogger("celebahq")
    if not any(handler.get_name() == __name__ for handler in logger.handlers):
        printer = Printer()
        printer.set_name(__name__)
        logger.addHandler(printer)
    logger.setLevel(logging.INFO)
    logger.propagate = False
