"""ICC profiles for color spaces that a file describes by numbers: gamma and primaries, or the codes of video."""

import struct

import numpy as np

from celebahq_builder.decoding.unusable_photo import UnusablePhotoError

_SRGB = np.array([(0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)])  # white, red, green, blue: x and y
_PRIMARIES = {  # codes of ITU-T H.273
    1: _SRGB,
    4: np.array([(0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)]),
    5: np.array([(0.3127, 0.3290), (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)]),
    6: np.array([(0.3127, 0.3290), (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)]),
    7: np.array([(0.3127, 0.3290), (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)]),
    9: np.array([(0.3127, 0.3290), (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)]),
    11: np.array([(0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]),
    12: np.array([(0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]),
}
_UNSPECIFIED = 2
_GAMMA = {4: 2.2, 5: 2.8, 8: 1.0}
# What cameras write for "like a television" and screens show as sRGB: browsers do so, too.
_LIKE_SRGB = {1, 6, 13, 14, 15}
_HDR = {16: "PQ", 18: "HLG"}

_BRADFORD = np.array([(0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)])
_D50 = np.array([0.9642, 1.0, 0.8249])


def coded_profile(primaries: int, transfer: int, what: str) -> bytes | None:
    """Return an ICC profile for the color codes of H.273 (cICP in PNG, nclx in AVIF and HEIC), None for sRGB.

    Args:
        primaries, transfer: the codes.
        what: kind of the file, for the refusal.

    Raises:
        UnusablePhotoError: "unsupported format": high dynamic range, whose white is not the white of a photograph.
    """
    if transfer in _HDR:
        raise UnusablePhotoError("unsupported format", f"{what} of high dynamic range ({_HDR[transfer]}), expected SDR")
    colors = _PRIMARIES.get(primaries, _SRGB)
    like_srgb = transfer in _LIKE_SRGB or transfer not in _GAMMA
    if like_srgb and colors is _SRGB:
        return None
    return gamma_profile(None if like_srgb else 1 / _GAMMA[transfer], colors)


def gamma_profile(gamma: float | None, primaries: np.ndarray | None) -> bytes | None:
    """Return an ICC profile for PNG's gAMA and cHRM; None when there is nothing to convert, or when they make no sense.

    Args:
        gamma: the exponent that was applied, 1/2.2 = 0.45 for most; None for sRGB's curve.
        primaries: (4, 2) x and y of white, red, green and blue; None for sRGB's.
    """
    if gamma is not None and not 0.05 <= gamma <= 20:
        return None
    if gamma is not None and abs(gamma * 2.2 - 1) < 0.05:
        gamma = None  # 0.45455 is what programs write that mean sRGB; libpng takes 5 % for nothing, too
    if gamma is None and (primaries is None or np.abs(primaries - _SRGB).max() < 0.002):
        return None
    matrix = _to_d50(_SRGB if primaries is None else primaries)
    if matrix is None:
        return None
    # 'para' 0 is a power, 'para' 3 sRGB's curve.
    power = 0 if gamma is None else 1 / gamma
    curve = _parametric(0, power) if power else _parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {b"wtpt": _xyz(_D50)}
    for letter, column in zip(b"rgb", matrix.T, strict=True):
        tags[bytes([letter]) + b"XYZ"] = _xyz(column)
        tags[bytes([letter]) + b"TRC"] = curve
    return _profile(tags)


def _to_d50(primaries: np.ndarray) -> np.ndarray | None:
    """Return the (3, 3) matrix from linear RGB to XYZ as ICC wants it, seen under D50; None for nonsense."""
    if not (np.isfinite(primaries).all() and (primaries[:, 1] > 1e-3).all() and (np.abs(primaries) < 2).all()):
        return None
    xyz = np.column_stack([primaries, 1 - primaries.sum(axis=1)]) / primaries[:, 1:]
    white, colors = xyz[0], xyz[1:].T
    if abs(np.linalg.det(colors)) < 1e-6:
        return None
    colors = colors * np.linalg.solve(colors, white)
    cones = _BRADFORD @ white
    if (np.abs(cones) < 1e-6).any():
        return None
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / cones) @ _BRADFORD @ colors
    return adapted if (np.abs(adapted) < 30).all() else None


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _parametric(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(*values)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    table, bodies, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    header = struct.pack(">I4sI4s4s4s", 0, b"\0\0\0\0", 0x04000000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(*_D50)
    header = header.ljust(128, b"\0")
    size = len(header) + len(table) + len(bodies)
    return struct.pack(">I", size) + header[4:] + table + bodies
