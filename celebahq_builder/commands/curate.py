"""celebahq-data curate: look through a dataset in the browser, and reject what should not be in it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from celebahq.files import printable
from celebahq.options import check_options
from celebahq_builder.hdf5 import Dataset, DatasetError, open_dataset

_log = logging.getLogger("celebahq.data")


@dataclass(frozen=True)
class CurateConfig:
    """Serve a page about a dataset on this machine, in which faces are rejected, kept and marked; Ctrl-C ends it.

    Every decision is saved at once, in <file>.decisions.json, and the rejects in <file>.exclude.txt, the list that a
    build takes as --exclude. The dataset itself is not changed. Nobody but this machine is answered, and only who knows
    the address that is printed.

    Example: celebahq-data curate celebahq.h5 --photos in-the-wild
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    photos: Path | None = None
    """The folder that was --input of its build: photographs that rows name are shown from it, and nothing else."""
    persons: bool = False
    """Tell persons apart, to group faces by them: by dlib's face descriptor, a tenth of a second a face before the page
    is there. A file with faces/identity knows its persons without."""
    port: int = 0
    """Of 127.0.0.1. 0: any that is free."""

    def __post_init__(self) -> None:
        check_options(self)


def tell_persons(dataset: Dataset) -> list[int]:
    """Return the number of the person in each row: the file's own, or by dlib's face descriptor."""
    from celebahq_builder.commands.identities import identities
    from celebahq_builder.commands.select import SelectConfig

    return identities(dataset, range(len(dataset)), SelectConfig.same_below)


def curate(config: CurateConfig) -> None:
    """Serve until Ctrl-C.

    Raises:
        DatasetError: the file is no dataset, or the port is taken.
    """
    from celebahq_builder.report.server import CurationSession, Server

    if not 0 <= config.port <= 65535:
        raise DatasetError(f"--port: got {config.port}, expected a number from 0 to 65535")
    if config.photos is not None and not config.photos.is_dir():
        raise DatasetError(f"--photos: got {config.photos}, expected the folder that was --input of the build")
    with open_dataset(config.file) as dataset:
        desk = CurationSession(dataset, config.photos, tell_persons(dataset) if config.persons else None)
        try:
            server = Server(desk, config.port)
        except OSError as error:
            raise DatasetError(f"--port: got {config.port} ({error.strerror}), expected a free one, or 0") from None
        try:
            with server:
                about = f"{printable(config.file)}: {len(dataset):,} faces"
                _log.info(f"{about}. Open this; Ctrl-C ends:\n{server.address}")
                server.serve_forever()
        except KeyboardInterrupt:
            saved = f", saved in {printable(config.file)}.exclude.txt" if desk.saved else ""
            _log.info(f"ended: {desk.rejected:,} rejected{saved}")
