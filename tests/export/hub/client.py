"""A Python process that runs what tests send it, with the real huggingface_hub against one Hub.

A process of its own, since huggingface_hub reads HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE when it is imported.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOOP = """
import contextlib, io, json, sys, traceback

for line in sys.stdin:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            exec(json.loads(line), {"__name__": "sent"})
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
            print("" if isinstance(error.code, int) else error.code, file=sys.stderr, end="\\n")
        except BaseException:
            code = 99
            traceback.print_exc()
    sys.__stdout__.write(json.dumps([code, out.getvalue(), err.getvalue()]) + "\\n")
    sys.__stdout__.flush()
"""


@dataclass(frozen=True)
class Ran:
    """What a command ended with and printed."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line that says why."""
        lines = [line for line in self.err.splitlines() if line.startswith("python -m export: ")]
        assert len(lines) == 1 and "Traceback" not in self.err, self.err
        return lines[0].removeprefix("python -m export: ")


class Client:
    """Run code, or `python -m export` commands, until closed.

    Args:
        endpoint: of the Hub.
        home: HF_HOME, the cache.
        token: HF_TOKEN; None is none.
        environment: more variables.
    """

    def __init__(self, endpoint: str, home: Path, token: str | None = "write", **environment: str) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
        own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_PROXY": "*", **environment}
        own |= {"HF_TOKEN": token} if token else {}
        self.environment = {**inherited, **own}
        self._process = subprocess.Popen(
            [sys.executable, "-c", LOOP],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home.parent,
        )

    def run(self, code: str) -> Ran:
        """Run Python code in a namespace of its own; what is imported stays imported."""
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return Ran(*json.loads(self._process.stdout.readline()))

    def export(self, *arguments: object, token: str | None = "write") -> Ran:
        """Run python -m export with arguments; a token is read anew by every call."""
        words = [str(argument) for argument in arguments]
        return self.run(
            f"import os\nos.environ['HF_TOKEN'] = {token or ''!r}\nfrom export.__main__ import main\nmain({words!r})"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=30)
        self._process.stdin.close()
        self._process.stdout.close()
