"""celebahq-build --image-list: which photos of --input the official list names, and the place of each."""

import logging
from pathlib import PurePosixPath

from celebahq.files import sha256_of
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.official.image_list import OfficialError, read_image_list
from celebahq_builder.sources.listing import Listing

_log = logging.getLogger("celebahq.build")


def read_places(config: BuildConfig, listing: Listing) -> tuple[dict[str, int] | None, dict[str, str]]:
    """Return the place of every photo, and the digest of the list for header and file; (None, {}) without a list.

    `listing` is left with the photos of the list alone.

    Raises:
        BuildError: the list cannot be read, or names none of the photos, or two photos have one of its names.
    """
    if config.image_list is None:
        return None, {}
    try:
        images = read_image_list(config.image_list)
    except OfficialError as error:
        raise BuildError(f"--image-list: {error}") from None
    by_file = {image.orig_file: image.idx for image in images}
    places = {name: by_file[file] for name in listing.names if (file := PurePosixPath(name).name) in by_file}
    if not places:
        raise BuildError(
            f"--image-list: got none of its {len(images):,} photos in {config.input}, expected files like "
            f"{images[0].orig_file}, of CelebA in the wild"
        )
    if len(set(places.values())) < len(places):
        seen: dict[int, str] = {}
        for name, place in places.items():
            if place in seen:
                raise BuildError(f"--image-list: got {seen[place]} and {name} in --input, expected one photo a name")
            seen[place] = name
    _log.info(f"--image-list: {len(places):,} of its {len(images):,} photos are in --input")
    listing.names = sorted(places)
    return places, {"image_list_sha256": sha256_of(config.image_list)}
