"""Only commands print: what Python users call speaks to the logger "celebahq" and returns what it made."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "celebahq/command.py",  # prints what the library logs
    "celebahq/progress.py",  # plain lines of progress, which a command switches on
    "export/sample.py",  # a script that stands alone
    "train/benchmark.py",
    "train/peers.py",  # the last word of a process that ends at once, from a thread
    "zoo/commands/show.py",
}


def test_no_function_prints_but_those_of_commands():
    packages = ("celebahq", "celebahq_builder", "zoo", "train", "export")
    printing = set()
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        if path.name != "__main__.py" and any(isinstance(call, ast.Name) and call.id == "print" for call in calls):
            printing.add(path.relative_to(ROOT).as_posix())
    assert printing <= COMMANDS
