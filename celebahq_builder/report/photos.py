"""What report.html shows of photographs: made by the workers, because decoding a photo can take a process along."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from celebahq.files import printable
from celebahq.progress import progress
from celebahq_builder.config import BuildConfig
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.executors import Kept, run
from celebahq_builder.state.failure import Failure, Limits, is_failure
from celebahq_builder.state.manifest import Row

_log = logging.getLogger("celebahq.build")

Images = dict[tuple[str, int], list[tuple[str, str]]]
"""(name, data: address) of each image, by the key of a row; none for a row without."""


@dataclass(frozen=True)
class PhotoTask:
    """One row whose photo is to be shown."""

    name: str
    config: BuildConfig
    row: Row
    face: np.ndarray | None
    """(R, R, 3) uint8 of a kept row, for the stages up to it; None for a row that was refused."""


def may_be_decoded(row: Row) -> bool:
    """Say whether this photo was decoded before: not where its size was refused, or where it died or took too long."""
    return row.width > 0 and not is_failure(row.reason)


def photo_images(config: BuildConfig, tasks: Iterable[PhotoTask], limits: Limits, kept: Kept | None = None) -> Images:
    """Make the images, within the limits of the build. A photo that fails has none, and stderr says so.

    Args:
        kept: workers that have nothing to do any more, as for executors.run.
    """
    tasks = [task for task in tasks if may_be_decoded(task.row)]
    images: Images = {}
    with progress("photos into the report", len(tasks)) as bar:
        for task, result in run(make_images, tasks, min(config.workers, len(tasks)), limits, kept=kept):
            if isinstance(result, Failure):
                what = f"no image of {printable(task.name)}: {result.reason}, {printable(result.detail)}"
                _log.warning(f"report.html: {what}")
            else:
                images[task.row.key] = result
            bar.advance()
    return dict(sorted(images.items()))  # workers end in any order, and the page keeps this one


def make_images(task: PhotoTask) -> list[tuple[str, str]]:
    """Decode a photo and return its images: the stages of a kept row, or the photo alone. Runs in the workers."""
    from celebahq_builder.photos import decode_with_orientation, read_photo
    from celebahq_builder.report.images import photo_image, stage_images

    try:
        data = read_photo(task.config.input, task.name)
        photo, _ = decode_with_orientation(data, decoder=task.config.decoder)
    except UnusablePhotoError:  # gone since it was aligned
        return []
    if task.face is None:
        return [("photo", photo_image(photo))]
    return stage_images(photo, task.row, task.config, task.face)
