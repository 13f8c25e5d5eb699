"""celebahq-data: look into, check, compare, unpack and make dataset files."""

import sys
from typing import Annotated

import tyro
from tyro.conf import subcommand

from celebahq_builder.compare import CompareConfig, compare
from celebahq_builder.extract import ExtractConfig, extract
from celebahq_builder.hdf5 import DatasetError
from celebahq_builder.image_sources import SourceError
from celebahq_builder.import_images import ImportConfig, import_images
from celebahq_builder.info import InfoConfig, info
from celebahq_builder.preview import PreviewConfig, preview
from celebahq_builder.printable_name import printable
from celebahq_builder.verify import VerifyConfig, verify

Command = (
    Annotated[InfoConfig, subcommand("info")]
    | Annotated[VerifyConfig, subcommand("verify")]
    | Annotated[PreviewConfig, subcommand("preview")]
    | Annotated[ExtractConfig, subcommand("extract")]
    | Annotated[CompareConfig, subcommand("compare")]
    | Annotated[ImportConfig, subcommand("import")]
)
_RUN = {
    InfoConfig: info,
    VerifyConfig: verify,
    PreviewConfig: preview,
    ExtractConfig: extract,
    CompareConfig: compare,
    ImportConfig: import_images,
}


def main(args: list[str] | None = None) -> None:
    """Run one command; exit with 2 when the input is wrong, 1 when a check fails or files differ, else 0."""
    try:
        config = tyro.cli(Command, prog="celebahq-data", description=__doc__, args=args)
        holds = _RUN[type(config)](config)
    except (DatasetError, SourceError, OSError) as error:
        of_the_system = isinstance(error, OSError) and error.filename and error.strerror
        print(printable(f"{error.filename}: {error.strerror}" if of_the_system else error), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; every file that it made is whole", file=sys.stderr)
        sys.exit(130)
    sys.exit(1 if holds is False else 0)


if __name__ == "__main__":
    main()
