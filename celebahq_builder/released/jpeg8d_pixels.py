"""From a JPEG's coefficients to the pixels that libjpeg 8d makes of them, in numpy, bit for bit.

Since version 7 libjpeg enlarges subsampled chroma by a larger inverse transform (16 points for 8 coefficients) and not
by interpolation; that is why today's decoders differ from it by up to 55 levels. Each pass of the integer transform is
one integer matrix, one rounding constant and one shift, so a matrix product in float64 holds every number exactly.
"""

import math

import numpy as np

from celebahq_builder.released.jpeg_coefficients import JPEG, Component

_SCALE_BITS = 13
_FIRST_SHIFT, _SECOND_SHIFT = 11, 18
_STRIP_BLOCKS = 16  # rows of blocks at a time: memory stays bounded


def pixels(jpeg: JPEG) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB."""
    out = np.empty((jpeg.height, jpeg.width, 3), np.uint8)
    unit = 8 * jpeg.v_most
    strip = _STRIP_BLOCKS * unit
    dequantised = [c.coefficients(jpeg.quantisation) for c in jpeg.components]
    for top in range(0, jpeg.height, strip):
        planes = []
        for c, blocks in zip(jpeg.components, dequantised, strict=True):
            first = top // unit * c.v
            plane = _plane(c, blocks[first : first + _STRIP_BLOCKS * c.v], jpeg)
            planes.append(plane[: jpeg.height - top, : jpeg.width])
        out[top : top + strip] = np.stack(planes, axis=-1) if jpeg.is_rgb else _to_rgb(*planes)
    return out


def _plane(component: Component, blocks: np.ndarray, jpeg: JPEG) -> np.ndarray:
    """(rows, columns) uint8 of one component at the image's full size."""
    down, across = _transform(8 * jpeg.v_most // component.v), _transform(8 * jpeg.h_most // component.h)
    half = np.floor((down @ blocks + (1 << _FIRST_SHIFT - 1)) / (1 << _FIRST_SHIFT))
    full = np.floor((half @ across.T + (1 << _SECOND_SHIFT - 1)) / (1 << _SECOND_SHIFT)).astype(np.int64)
    full = (full + 512 & 1023) - 512  # libjpeg looks the value up by its last ten bits
    samples = np.clip(full + 128, 0, 255).astype(np.uint8)
    rows, columns, height, width = samples.shape
    return samples.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def _to_rgb(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """YCbCr to RGB in 16-bit fixed point; one shift for both terms of green."""
    y, cb, cr = y.astype(np.int32), cb.astype(np.int32) - 128, cr.astype(np.int32) - 128

    def fixed(x: float) -> int:
        return int(x * 65536 + 0.5)

    red = y + (fixed(1.402) * cr + 32768 >> 16)
    green = y + (-fixed(0.34414) * cb - fixed(0.71414) * cr + 32768 >> 16)
    blue = y + (fixed(1.772) * cb + 32768 >> 16)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)


def _transform(points: int) -> np.ndarray:
    """(points, 8) float64 of integers: the inverse transform of 8 coefficients to so many samples."""
    half = _half8() if points == 8 else _half16()
    even, odd = half[:, 0::2], half[:, 1::2]
    matrix = np.empty((points, 8))
    matrix[:, 0::2] = np.vstack([even, even[::-1]])
    matrix[:, 1::2] = np.vstack([odd, -odd[::-1]])
    return matrix


def _fixed(*cosines: float) -> int:
    """A constant of the transform, 13 bits: the sum of cosines is rounded once, and so is each such sum."""
    return math.floor(sum(cosines) * (1 << _SCALE_BITS) + 0.5)


def _half8() -> np.ndarray:
    """The upper half of the 8-point transform (Loeffler, Ligtenberg, Moschytz), in sums of rounded constants."""
    c = [math.sqrt(2) * math.cos(k * math.pi / 16) for k in range(8)]
    f, one = _fixed, 1 << _SCALE_BITS
    two, six = f(c[6]) + f(c[2], -c[6]), f(c[6]) - f(c[2], c[6])
    even = [[one, two, one, f(c[6])], [one, f(c[6]), -one, six]]  # coefficients 0, 2, 4, 6
    even += [[row[0], -row[1], row[2], -row[3]] for row in reversed(even)]
    all_four = f(c[3])  # what all odd coefficients share, what each pair of them does, and what is one's own
    of_37, of_15, of_17, of_35 = -f(c[3], c[5]), -f(c[3], -c[5]), -f(c[3], -c[7]), -f(c[1], c[3])
    own_1, own_3 = f(c[1], c[3], -c[5], -c[7]), f(c[1], c[3], c[5], -c[7])
    own_5, own_7 = f(c[1], c[3], -c[5], c[7]), f(-c[1], c[3], c[5], -c[7])
    odd = all_four + np.array(
        [  # coefficients 1, 3, 5, 7
            [own_1 + of_17 + of_15, 0, of_15, of_17],
            [0, own_3 + of_35 + of_37, of_35, of_37],
            [of_15, of_35, own_5 + of_35 + of_15, 0],
            [of_17, of_37, 0, own_7 + of_17 + of_37],
        ]
    )
    half = np.empty((4, 8))
    half[:, 0::2], half[:, 1::2] = even, odd
    return half


def _half16() -> np.ndarray:
    """The upper half of the 16-point transform of 8 coefficients."""
    c = [math.sqrt(2) * math.cos(k * math.pi / 32) for k in range(16)]
    f, one = _fixed, 1 << _SCALE_BITS
    four, twelve = f(c[4]), f(c[12])
    two, fourteen = f(c[2]), f(c[14])
    even = [  # coefficients 0, 2, 4, 6
        [one, two, four, f(c[6], c[2]) - two],
        [one, fourteen + f(c[6], -c[14]), twelve, -fourteen],
        [one, two - f(c[2], -c[10]), -twelve, -two],
        [one, fourteen, -four, -fourteen - f(c[10], -c[14])],
    ]
    even += [[row[0], -row[1], row[2], -row[3]] for row in reversed(even)]
    s = {k: f(c[k]) for k in range(1, 16, 2)}
    odd = [  # coefficients 1, 3, 5, 7
        [s[3] + s[5] + s[7] - f(c[7], c[5], c[3], -c[1]), s[3], s[5], s[7]],
        [s[3], s[3] + s[15] + f(c[9], c[11], -c[3], -c[15]) - s[11], s[15], -s[11]],
        [s[5], s[15], s[5] + s[15] - f(c[5], c[7], c[15], -c[3]) - s[3], -s[3]],
        [s[7], -s[11], -s[3], s[7] - s[11] + f(c[3], c[11], c[15], -c[7]) - s[3]],
        [s[9], -s[5], -s[13], -s[9] - s[5] + f(c[1], c[5], c[9], -c[13]) + s[13]],
        [s[11], -s[1], s[11] + s[1] - f(c[1], c[11], -c[9], -c[13]) - s[13], s[13]],
        [s[13], -s[13] - s[1] + f(c[1], c[5], c[13], -c[7]) - s[5], s[1], -s[5]],
        [s[9] + s[11] + s[13] - f(c[9], c[11], c[13], -c[15]), -s[13], s[11], -s[9]],
    ]
    half = np.empty((8, 8))
    half[:, 0::2], half[:, 1::2] = even, odd
    return half
