"""Type README's lines in order, in a copy of the repository: python3 .ci/type_readme.py [--skip REGEX] [FOLDER]

Every line of an unnamed fence and every fence of Python is run where the lines before it ran. A line must end with exit
code 0; one that says what it "needs" may instead end with one clear refusal; "a server" must answer, and end at Ctrl-C.
No line may change what another one made. Nothing but the standard library: it starts before there is an environment.
"""

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 900  # a line; the tests have their own limit
TESTS_SECONDS = 3000
PATIENCE = 60  # with a line that needs a GPU, on a machine that has one: days of training are not waited for


def lines_of(text: str) -> list[str]:
    """The commands of a page, in order: each line of a fence without a name, each fence of Python as a whole."""
    found: list[str] = []
    for name, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if name == "python":
            found.append("#python\n" + body)
        elif not name:
            found += [line for line in body.splitlines() if line.strip()]
    return found


def environment(folder: Path) -> dict[str, str]:
    """Of somebody who activated .venv in `folder`."""
    added = {
        "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_RETRIES": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "CELEBAHQ_TEST_DATA": os.environ.get("CELEBAHQ_TEST_DATA", str(ROOT.parent / "shared" / "data")),
    }
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | added


def made(folder: Path) -> dict[str, str]:
    """Relative path -> hash of every file that is no part of an environment or a build of the package."""
    skip = {".venv", ".git", "build", "celebahq.egg-info", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}
    files = {}
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in skip]
        for path in (Path(at) / name for name in names):
            files[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def run(line: str, folder: Path, log: Path) -> str:
    """Run one line to its end, or until its server answered; what is wrong with it, or nothing."""
    python = line.startswith("#python\n")
    said = "" if python else line.partition("  #")[2] or line.partition(" # ")[2]
    command = [".venv/bin/python", "-c", line] if python else ["bash", "-c", line]
    limit = TESTS_SECONDS if "-m pytest" in line else PATIENCE if "needs a GPU" in said else SECONDS
    begin, answered = time.monotonic(), False
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while process.poll() is None and time.monotonic() - begin < limit:
            time.sleep(0.2)
            if "a server" in said and answers(log.read_text("utf-8", "replace") + line):
                answered = True
                time.sleep(2)  # as nobody is quicker
                break
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # the Ctrl-C of a terminal reaches the whole group
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return "did not end at Ctrl-C"
            if not answered and "needs a GPU" not in said:
                return f"took longer than {limit} s" if "a server" not in said else f"did not answer within {limit} s"
    return verdict(process.returncode, log.read_text("utf-8", "replace"), said, answered)


def verdict(code: int, printed: str, said: str, answered: bool) -> str:
    """What is wrong with a line that ended so, or nothing."""
    if "Traceback (most recent call last)" in printed:
        return "ended with a traceback"
    if code == 0 or answered:
        return ""
    if "a server" in said:
        return f"ended with exit code {code} before it answered"
    if "needs" in said:
        return "" if code in (1, 2) and printed.strip() else f"ended with exit code {code} and without a refusal"
    return f"ended with exit code {code}"


def answers(text: str) -> bool:
    """Whether one of the addresses in `text` (a web server's own by default) answers."""
    for address in set(re.findall(r"http://(?:127\.0\.0\.1|localhost):\d+[\w/-]*", text)):
        try:
            with urllib.request.urlopen(address, timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            continue
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT, help="the copy to type in; it is written into")
    parser.add_argument("--skip", default="$^", help="leave out lines in which this regular expression is found")
    options = parser.parse_args()
    folder = options.folder.resolve()
    # In the background of a script Ctrl-C is ignored, and what is started there would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log, owner, before = folder / ".ci" / "typed.log", {}, made(folder)
    for line in lines_of((folder / "README.md").read_text("utf-8")):
        if re.search(options.skip, line):
            continue
        shown = line.partition("#python\n")[2].strip().splitlines()[-1] if line.startswith("#python") else line
        print(f"$ {shown}", flush=True)
        begin = time.monotonic()
        wrong = run(line, folder, log)
        printed = log.read_text("utf-8", "replace").rstrip().splitlines()
        log.unlink()
        after = made(folder)
        for path in (path for path, digest in before.items() if after.get(path) != digest and path in owner):
            if Path(path).parts[0] != "runs":  # a run's metrics are kept in the run
                wrong = wrong or f"changed {path}, which this line made: {owner[path]}"
        owner |= {path: shown for path in after if path not in before}
        before = after
        tests = "-m pytest" in line
        print("\n".join(text if tests else f"    {text}" for text in printed[-(40 if wrong or tests else 3) :]))
        print(f"    ({time.monotonic() - begin:.0f} s)", flush=True)
        if wrong:
            print(f"README.md: {shown}\n  {wrong}", file=sys.stderr)
            return 1
    print(f"every line of README.md was typed: {len(owner)} files made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
