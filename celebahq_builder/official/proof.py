"""Before any work: do decoder and crop give what the authors' programs gave, on the user's own CelebA?"""

import hashlib

import numpy as np

from celebahq_builder.official.celeba import PhotoSource
from celebahq_builder.official.face import OfficialRow, RefusedImageError, official_crop
from celebahq_builder.official.image_list import OfficialError, OfficialImage
from celebahq_builder.released import libjpeg8d
from celebahq_builder.released.jpeg8d_pixels import pixels
from celebahq_builder.released.jpeg_coefficients import read_coefficients

FIRST_PHOTO = "000001.jpg"
FIRST_PHOTO_MD5 = "9cad8178d6cb0196b36f7b34bc5eb6d3"
"""Of its (H, W, 3) RGB bytes as libjpeg 8d decodes them: what the released program asks for before it begins."""

_FACES_TRIED = 3


def prove_decoder(photos: PhotoSource) -> str:
    """Return the line that says whether 000001.jpg is decoded as libjpeg 8d decodes it.

    Raises:
        OfficialError: the decoder is not libjpeg 8d.
    """
    by = "jpeglib" if libjpeg8d.has_jpeglib() else "numpy"
    try:
        data = photos.read(FIRST_PHOTO)
    except OSError:
        return f"decoder: not checked, {FIRST_PHOTO} is not in {photos.path}"
    try:
        decoded = libjpeg8d.decode_libjpeg8d(data)
        found = hashlib.md5(decoded.tobytes()).hexdigest()
        if found == FIRST_PHOTO_MD5:
            return f"decoder: ok ({FIRST_PHOTO} is decoded as by libjpeg 8d, by {by})"
        if by != "numpy" and not np.array_equal(decoded, pixels(read_coefficients(data, libjpeg8d.MAX_PIXELS))):
            raise OfficialError(
                f"decoder: got other pixels of {FIRST_PHOTO} from jpeglib than libjpeg {libjpeg8d.VERSION}'s, expected "
                f"md5 {FIRST_PHOTO_MD5}; install it anew: pip install --force-reinstall 'celebahq[official]'"
            )
    except OfficialError:
        raise
    except ValueError as error:
        return f"decoder: not checked, {FIRST_PHOTO} is damaged ({error}); fetch it again"
    return (
        f"decoder: not proved, {FIRST_PHOTO} is not CelebA's (md5 of its pixels {found}, not {FIRST_PHOTO_MD5}); "
        f"our two decoders agree on it"
    )


def prove_crop(photos: PhotoSource, images: list[OfficialImage], landmarks: dict[str, np.ndarray]) -> str:
    """Return the line that says whether the first faces are cropped as the list says.

    Raises:
        OfficialError: none of the first faces is: then neither will be the others.
    """
    tried: list[str] = []
    for image in images:
        try:
            data = photos.read(image.orig_file)
        except OSError:
            continue
        row = OfficialRow(image.idx, image.orig_file, "")
        try:
            official_crop(data, landmarks.get(image.orig_file), image, row)
        except RefusedImageError as refusal:
            tried.append(f"{image.orig_file}: {refusal.status}, {refusal.detail}")
        else:
            if row.proc_md5 == image.proc_md5:
                return f"crop: ok (proc_md5 of {image.name}, from {image.orig_file})"
            tried.append(f"{image.orig_file}: proc_md5 is {row.proc_md5}, not {image.proc_md5}")
        if len(tried) == _FACES_TRIED:
            break
    if not tried:
        return f"crop: not checked, none of the photos is in {photos.path}"
    raise OfficialError(
        f"crop: got another face in {len(tried)} of {len(tried)} photos ({'; '.join(tried)}), expected those of "
        "image_list.txt; are these CelebA's photographs in the wild and its list_landmarks_celeba.txt?"
    )
