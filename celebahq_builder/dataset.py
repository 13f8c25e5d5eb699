"""celebahq-data: look into, check, compare, unpack and make dataset files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union

from celebahq.command import run_command
from celebahq.errors import CelebAHQError

COMMANDS = {
    "info": ("info", "InfoConfig", "info"),
    "verify": ("verify", "VerifyConfig", "verify"),
    "preview": ("preview", "PreviewConfig", "preview"),
    "extract": ("extract", "ExtractConfig", "extract"),
    "compare": ("compare", "CompareConfig", "compare"),
    "import": ("import_images", "ImportConfig", "import_images"),
    "convert": ("convert", "ConvertConfig", "convert"),
    "select": ("select", "SelectConfig", "select"),
    "drop": ("select", "DropConfig", "drop"),
    "sort": ("select", "SortConfig", "sort"),
    "merge": ("merge", "MergeConfig", "merge"),
    "curate": ("curate", "CurateConfig", "curate"),
    "push": ("push", "PushConfig", "push"),
    "official": ("official", "OfficialConfig", "official"),
}
"""Command -> its file in commands/, its options there, and the function that takes them."""


def main(args: list[str] | None = None) -> None:
    """Run one command; exit with 2 when the input is wrong, 1 when a check fails or files differ, else 0."""
    run_command(
        lambda: _run(sys.argv[1:] if args is None else [str(arg) for arg in args]),
        "celebahq-data",
        interrupted="stopped; the same command again goes on where it was, and every file of a final name is complete",
    )


def _run(args: Sequence[str]) -> bool:
    """Import behind run_command, which has an answer to Ctrl-C."""
    import importlib
    import inspect

    import tyro

    from celebahq_builder.stores.dataset_cache import with_local_files

    if not args or args[0] not in COMMANDS:
        tyro.cli(_overview(), prog="celebahq-data", description=__doc__, args=args)  # --help, or a refusal
    file, options, function = COMMANDS[args[0]]
    module = importlib.import_module(f"celebahq_builder.commands.{file}")
    about = inspect.getdoc(getattr(module, options))
    config = tyro.cli(getattr(module, options), prog=f"celebahq-data {args[0]}", description=about, args=args[1:])
    config = with_local_files(config, writes_beside=args[0] in ("curate", "push"))
    try:
        return getattr(module, function)(config) is not False  # extract says how many
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.strerror is not None:
            raise
        raise CelebAHQError(str(error)) from error  # the writer's own words


def _overview() -> Any:
    """Return all commands without their options: what each does is read from its file, and nothing is imported."""
    import ast
    from dataclasses import make_dataclass

    from tyro.conf import subcommand

    stubs = []
    for name, (file, options, _) in COMMANDS.items():
        source = ast.parse((Path(__file__).parent / "commands" / f"{file}.py").read_text(encoding="utf-8"))
        node = next(node for node in source.body if isinstance(node, ast.ClassDef) and node.name == options)
        stub = make_dataclass(options, [], namespace={"__doc__": ast.get_docstring(node)})
        stubs.append(Annotated[stub, subcommand(name)])
    return Union[tuple(stubs)]  # noqa: UP007  # of as many as there are


if __name__ == "__main__":
    main()
