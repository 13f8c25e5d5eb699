"""Where a face has detail, in 64 characters: tells which of two near duplicates has something laid over it.

A watermark, a logo or a line of text adds edges in some cells of a grid and changes none of the others. Another size,
sharpness or contrast multiplies the edges of all cells by about one factor. So that factor is fitted and taken off;
what is left in one copy alone was laid over it. The quality score sees none of this: it takes text for detail.
"""

import cv2
import numpy as np

from celebahq_builder.defects import LUMA

_SIDE, _CELLS = 128, 8  # pixels of the reduced face, a side; cells of the grid, a side
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_VALUE = np.full(256, 64, np.uint8)  # 64: no character of a map
_VALUE[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(64)
_FAINT, _MOST = 8.0, 80.0
"""Mean steps from a pixel to the next, as if contrast were 100: one that is lost in noise, and the most."""
_OCTAVES_A_STEP = float(np.log2(1 + _MOST / _FAINT)) / 63
_LEAST_CONTRAST = 10.0  # levels
_LAID_OVER = 0.035
"""Octaves of detail, root of the mean square over the cells, by which one copy has more than the other has more."""


def detail_map(face: np.ndarray) -> str:
    """Return how strong the edges of a face are in 8x8 cells, a character each, row by row.

    Args:
        face: (R, R, 3) uint8, R a power of two. Below 128 there is too little to compare: the result is "".
    """
    if len(face) < _SIDE:
        return ""
    small = cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) @ LUMA
    low, high = np.percentile(cv2.resize(small, (_SIDE // 2,) * 2, interpolation=cv2.INTER_AREA), (5, 95))
    across, down = (np.diff(small, axis=axis, append=np.take(small, [-1], axis)) for axis in (1, 0))
    cell = _SIDE // _CELLS
    edges = np.hypot(across, down).reshape(_CELLS, cell, _CELLS, cell).mean(axis=(1, 3))
    octaves = np.log2(1 + edges * (100 / (high - low + _LEAST_CONTRAST)) / _FAINT)
    steps = np.rint(octaves / _OCTAVES_A_STEP).clip(0, 63).astype(np.uint8)
    return bytes(_ALPHABET[step] for step in steps.ravel()).decode()


def is_laid_over(one: str, other: str) -> bool:
    """Say whether `one` has something laid over it that `other` has not, by the maps of two faces that look alike.

    False where it is not known: an empty map. Never true both ways.
    """
    if len(one) != _CELLS**2 or len(other) != _CELLS**2:
        return False
    steps = [_VALUE[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)] for text in (one, other)]
    if max(map(np.max, steps)) > 63:
        return False
    ours, theirs = (some * _OCTAVES_A_STEP for some in steps)
    more, common = ours - theirs, np.minimum(ours, theirs)
    more -= common * float((more * common).sum() / max((common * common).sum(), 1e-9))
    added, lost = (float(np.sqrt(np.square(part).mean())) for part in (np.maximum(more, 0), np.minimum(more, 0)))
    return added - lost > _LAID_OVER
