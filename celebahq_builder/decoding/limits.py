"""How much memory decoding a photo may take, reckoned from its header before anything is decoded."""

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError

MAX_MEGAPIXELS = 200.0  # the largest sensor sold in a telephone; the paper's largest input, 6732x8984, has 60
MAX_DECODING_BYTES = 2_000_000_000
"""For the file and all that is made of it until it is (H, W, 3) uint8 and upright."""


def check_size(width: int, height: int, bytes_a_pixel: float, file_bytes: int, max_megapixels: float) -> None:
    """Refuse a photo whose decoding would take more memory than a photo may have.

    Args:
        width, height: in pixels, as the header says.
        bytes_a_pixel: at the moment when most of the buffers of a decoder live, the result included.
        file_bytes: of the file, and of what is copied from it.
        max_megapixels: the largest area.

    Raises:
        UnusablePhotoError: "too many pixels", "too much memory", or "truncated or corrupt file" for an image without
            area.
    """
    if width < 1 or height < 1:
        raise UnusablePhotoError("truncated or corrupt file", f"got {width}x{height} px")
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        found = f"{width}x{height} px are {megapixels:.0f} megapixels"
        raise UnusablePhotoError("too many pixels", f"{found}, at most {max_megapixels:g} are expected")
    needed = megapixels * 1e6 * bytes_a_pixel + file_bytes
    if needed > MAX_DECODING_BYTES:
        found = f"{width}x{height} px of this kind take {needed / 1e9:.1f} GB to decode"
        raise UnusablePhotoError("too much memory", f"{found}, at most {MAX_DECODING_BYTES / 1e9:g} are expected")
