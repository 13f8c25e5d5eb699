"""celebahq-data official: CelebA-HQ itself, from CelebA and the published deltas, md5 for md5."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from celebahq.device import cpu_cores
from celebahq.options import check_options
from celebahq_builder.official.image_list import OfficialError, choose_indices, find_image_list, read_image_list


@dataclass(frozen=True, kw_only=True)
class OfficialConfig:
    """Make the official CelebA-HQ from CelebA's photographs in the wild and the published deltas.

    Every image is verified by the md5 of image_list.txt before it is written; what cannot be made gets a row with the
    reason in <output>.rows.csv. The same command again goes on, and adds what archives have come since.
    Needs: pip install 'celebahq[official]'.

    Example: celebahq-data official --celeba CelebA/ --deltas deltas/ --output celebahq.h5
    """

    celeba: Path | None = None
    """CelebA as downloaded: img_celeba (folder, .zip, .7z or .7z.001 with the other parts beside it) and
    list_landmarks_celeba.txt; list_attr_celeba.txt and identity_CelebA.txt become labels where they are there."""
    deltas: Path | None = None
    """Folder with deltas00000.zip ... deltas29000.zip as they are, or with the .dat files out of them."""
    output: Path = Path("celebahq.h5")
    """HDF5 file to make; with --format png the folder for imgHQ00000.png ..."""
    format: Literal["hdf5", "png"] = "hdf5"
    """A dataset file of all levels in the authors' order, or a folder of images."""
    image_list: Path | None = None
    """image_list.txt; left out, it is looked for below --deltas and --celeba."""
    indices: str | None = None
    """Make only these, as 0:1000 or 0:10,70: those of the first archive, say."""
    check: Path | None = None
    """Make nothing: verify a folder, zip or dataset file of official images against the list. Exit code 1 when any
    differs."""
    compression: Literal["none", "gzip"] = "none"
    """Of the HDF5 file. gzip is the filter of the released files: half the size, and reads 13 times slower."""
    workers: int = cpu_cores()
    """Processes that work side by side. 0: none, all work in this process."""

    def __post_init__(self) -> None:
        check_options(self)
        if self.workers < 0:
            raise OfficialError(f"--workers: got {self.workers}, expected at least 1 (or 0: no further process)")
        if self.check is None and (self.celeba is None or self.deltas is None):
            missing = "--celeba" if self.celeba is None else "--deltas"
            raise OfficialError(
                f"{missing}: got nothing, expected a folder (or --check FOLDER, which needs the list alone)"
            )
        if self.check is not None and self.image_list is None and self.deltas is None:
            raise OfficialError("--image-list: got nothing, expected image_list.txt, which comes with the deltas")


def official(config: OfficialConfig) -> bool:
    """Run the command; False when an image is missing or differs."""
    if config.check is not None:
        from celebahq_builder.official.check import check_official

        places = [folder for folder in (config.deltas, config.celeba) if folder is not None]
        images = read_image_list(config.image_list or find_image_list(*places))
        return check_official(config.check, choose_indices(images, config.indices), config.workers)
    from celebahq_builder.official.make import make_official_set

    assert config.celeba is not None
    assert config.deltas is not None
    return make_official_set(
        config.celeba,
        config.deltas,
        config.output,
        image_list=config.image_list,
        indices=config.indices,
        as_png=config.format == "png",
        compression=None if config.compression == "none" else config.compression,
        workers=config.workers,
    )
