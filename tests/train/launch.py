"""How tests start torchrun as somebody would, find its ranks, and wait for what they write."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from free_port import free_port  # noqa: E402
from process_end import HANGS, finish, wait_until  # noqa: E402

__all__ = ["HANGS", "ROOT", "finish", "free_port", "ranks_of", "start", "wait_for", "wait_until"]


def start(
    count: int, *command: object, restarts: int = 0, nodes: int = 1, endpoint: str = "localhost:0"
) -> subprocess.Popen:
    """Start torchrun, by default on a port that is free; of several nodes one each call, all at one endpoint."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", count, "--max-restarts", restarts]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    where = ["--nnodes", nodes, "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--local-addr=127.0.0.1"]
    words = [*launch, *where, *command]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*map(str, words)], cwd=ROOT, env=environment, **pipes)


def ranks_of(process: subprocess.Popen) -> list[int]:
    """Return the process ids of a torchrun's ranks, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == process.pid:
                environment = (folder / "environ").read_bytes().split(b"\0")
                found[int(dict(x.split(b"=", 1) for x in environment if b"=" in x)[b"RANK"])] = int(folder.name)
        except (OSError, KeyError):
            continue
    return [found[rank] for rank in sorted(found)]


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def wait_for(path: Path, process: subprocess.Popen, there: Callable[[Path], bool] = _is_there) -> None:
    """Wait until a file is there, or whatever of it is asked for; the process that writes it may not end before."""
    wait_until(lambda: there(path), process)
