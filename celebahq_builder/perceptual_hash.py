"""A 64-bit fingerprint of a face that survives re-compression and resizing: signs of its lowest DCT coefficients."""

import numpy as np

MOST_BITS_APART = 6
"""Faces this near are taken for copies of one photograph."""

_SIDE = 32
_LOW = 8
_i = np.arange(_SIDE)
_DCT = np.cos(np.pi * np.outer(np.arange(_LOW), _i + 0.5) / _SIDE)


def perceptual_hash(face: np.ndarray) -> str:
    """Return 16 hex digits for a face: which of its 8x8 lowest frequencies lie above their median.

    Args:
        face: (R, R, 3) uint8, R a power of two. Below 32 there is too little to compare: the result is "".
    """
    resolution = len(face)
    if resolution < _SIDE:
        return ""
    k = resolution // _SIDE
    grey = face.reshape(_SIDE, k, _SIDE, k, 3).mean((1, 3), dtype=np.float64) @ (0.299, 0.587, 0.114)
    low = (_DCT @ grey @ _DCT.T).ravel()
    # The first coefficient is the mean, which says nothing about the face and would shift the median.
    bits = low > np.median(low[1:])
    return np.packbits(bits).tobytes().hex()
