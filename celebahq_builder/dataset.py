"""celebahq-data: look into, check, compare, unpack and make dataset files."""

from collections.abc import Callable
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from celebahq.command import run_command
from celebahq.errors import CelebAHQError
from celebahq_builder.commands.compare import CompareConfig, compare
from celebahq_builder.commands.convert import ConvertConfig, convert
from celebahq_builder.commands.curate import CurateConfig, curate
from celebahq_builder.commands.extract import ExtractConfig, extract
from celebahq_builder.commands.import_images import ImportConfig, import_images
from celebahq_builder.commands.info import InfoConfig, info
from celebahq_builder.commands.merge import MergeConfig, merge
from celebahq_builder.commands.official import OfficialConfig, official
from celebahq_builder.commands.preview import PreviewConfig, preview
from celebahq_builder.commands.push import PushConfig, push
from celebahq_builder.commands.select import DropConfig, SelectConfig, SortConfig, drop, select, sort
from celebahq_builder.commands.verify import VerifyConfig, verify
from celebahq_builder.stores.dataset_cache import with_local_files

Command = (
    Annotated[InfoConfig, subcommand("info")]
    | Annotated[VerifyConfig, subcommand("verify")]
    | Annotated[PreviewConfig, subcommand("preview")]
    | Annotated[ExtractConfig, subcommand("extract")]
    | Annotated[CompareConfig, subcommand("compare")]
    | Annotated[ImportConfig, subcommand("import")]
    | Annotated[ConvertConfig, subcommand("convert")]
    | Annotated[SelectConfig, subcommand("select")]
    | Annotated[DropConfig, subcommand("drop")]
    | Annotated[SortConfig, subcommand("sort")]
    | Annotated[MergeConfig, subcommand("merge")]
    | Annotated[CurateConfig, subcommand("curate")]
    | Annotated[PushConfig, subcommand("push")]
    | Annotated[OfficialConfig, subcommand("official")]
)
_RUN: dict[type, Callable[[Any], object]] = {
    InfoConfig: info,
    VerifyConfig: verify,
    PreviewConfig: preview,
    ExtractConfig: extract,
    CompareConfig: compare,
    ImportConfig: import_images,
    ConvertConfig: convert,
    SelectConfig: select,
    DropConfig: drop,
    SortConfig: sort,
    MergeConfig: merge,
    CurateConfig: curate,
    PushConfig: push,
    OfficialConfig: official,
}


def main(args: list[str] | None = None) -> None:
    """Run one command; exit with 2 when the input is wrong, 1 when a check fails or files differ, else 0."""
    run_command(
        lambda: _run(args),
        "celebahq-data",
        interrupted="stopped; the same command again goes on where it was, and every file of a final name is complete",
    )


def _run(args: list[str] | None) -> bool:
    config = tyro.cli(Command, prog="celebahq-data", description=__doc__, args=args)
    config = with_local_files(config, writes_beside=isinstance(config, CurateConfig | PushConfig))
    try:
        return _RUN[type(config)](config) is not False  # extract says how many
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.strerror is not None:
            raise
        raise CelebAHQError(str(error)) from error  # the writer's own words


if __name__ == "__main__":
    main()
