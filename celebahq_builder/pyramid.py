"""The levels of one face: 1024 -> 512 ... -> 1 by means of 2 x 2 pixels, as the original HDF5 files hold them."""

import numpy as np

_EXACT = 256
"""So many times smaller, the sum of bytes still has the 24 bits of a float32: no order of it rounds anything.

Below that the last bit depends on the order, which is the original's.
"""


def pyramid(face: np.ndarray) -> dict[int, np.ndarray]:
    """Return every level of a face, from its own resolution down to 1.

    Each level is the float32 mean of 2 x 2 pixels of the level above before that one was rounded, and is rounded once,
    half to even (h5tool.py of the released program; rounding at every level would change one value in six).

    Args:
        face: (R, R, 3) uint8 RGB or (R, R, 1) gray, R a power of two.

    Returns:
        {r: (C, r, r) uint8} for r = R, R / 2, ..., 1, in this order.

    Raises:
        ValueError: the face is not uint8, not square, neither RGB nor gray, or its side is no power of two.
    """
    if face.ndim != 3 or face.shape[2] not in (1, 3) or face.dtype != np.uint8:
        raise ValueError(f"face: got shape {face.shape} of {face.dtype}, expected (R, R, 3) or (R, R, 1) of uint8")
    resolution = face.shape[0]
    if face.shape[1] != resolution or resolution < 1 or resolution & (resolution - 1):
        raise ValueError(
            f"face: got {face.shape[1]} x {resolution} pixels, expected a square whose side is a power of two"
        )

    level = np.ascontiguousarray(face.transpose(2, 0, 1))
    levels = {resolution: level}
    exact = max(resolution // _EXACT, 1)
    mean = level
    while resolution > 1:
        resolution //= 2
        if resolution >= exact:
            rows = np.add(mean[:, 0::2], mean[:, 1::2], dtype=np.uint16 if mean is level else np.float32)
            mean = (rows[..., 0::2] + rows[..., 1::2]).astype(np.float32, copy=False)
        else:
            top, bottom = mean[:, 0::2], mean[:, 1::2]
            mean = top[..., 0::2] + top[..., 1::2] + bottom[..., 0::2] + bottom[..., 1::2]
        mean *= np.float32(0.25)
        levels[resolution] = np.rint(mean).astype(np.uint8)
    return levels
