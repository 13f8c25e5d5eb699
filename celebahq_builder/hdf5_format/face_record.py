"""The provenance of one row of the dataset, and how rows become the columns of the group `faces`."""

from dataclasses import dataclass, fields

import h5py
import numpy as np


@dataclass(frozen=True, eq=False)
class FaceRecord:
    """Where one row came from; the group `faces` holds one dataset a field.

    What is unknown is None, and must then be None in every row: a folder of ready-made faces has no landmarks.
    """

    source: str
    """Photo, relative to the input folder, POSIX style."""
    source_sha256: str
    """Hex digest of the file's bytes."""
    pixel_sha256: str
    """Hex digest of the decoded photo."""
    face_index: int = 0
    """Which face of the photo."""
    scale: float | None = None
    """Source pixels a pixel of the crop."""
    landmarks: np.ndarray | None = None
    """(5, 2) source pixels (x, y): left eye, right eye, nose, left mouth, right mouth."""
    quad: np.ndarray | None = None
    """(4, 2) source pixels (x, y): top-left, bottom-left, bottom-right, top-right."""
    score: float | None = None
    breadth: float | None = None
    isotropy: float | None = None
    padding: float | None = None
    """What of the crop lies outside the photo, 0 to 1."""
    invented: float | None = None
    """What of the face does: of a fixed oval around eyes, nose, mouth and chin."""
    marks: str | None = None
    """What was noticed about the face in its photo, separated by spaces."""
    idx: int | None = None
    """Place in the official CelebA-HQ; so are the next three, of its image_list.txt."""
    orig_idx: int | None = None
    proc_md5: str | None = None
    final_md5: str | None = None
    identity: int | None = None
    """CelebA's number of the person."""


_COLUMNS = {
    "source": (h5py.string_dtype("utf-8"), ()),
    "source_sha256": (np.dtype("S64"), ()),
    "pixel_sha256": (np.dtype("S64"), ()),
    "face_index": (np.int32, ()),
    "scale": (np.float64, ()),
    "landmarks": (np.float32, (5, 2)),
    "quad": (np.float64, (4, 2)),
    "score": (np.float64, ()),
    "breadth": (np.float64, ()),
    "isotropy": (np.float64, ()),
    "padding": (np.float64, ()),
    "invented": (np.float64, ()),
    "marks": (h5py.string_dtype("utf-8"), ()),
    "idx": (np.int32, ()),
    "orig_idx": (np.int32, ()),
    "proc_md5": (np.dtype("S32"), ()),
    "final_md5": (np.dtype("S32"), ()),
    "identity": (np.int32, ()),
}


def face_columns(records: list[FaceRecord], num_faces: int) -> dict[str, np.ndarray]:
    """Turn rows into columns, leaving out what no row knows."""
    if not records:
        return {}
    if len(records) != num_faces:
        raise ValueError(f"faces: got {len(records)} records for {num_faces} rows, expected one a row or none")
    columns = {}
    for field in fields(FaceRecord):
        values = [getattr(record, field.name) for record in records]
        unknown = sum(value is None for value in values)
        if unknown == num_faces:
            continue
        if unknown:
            raise ValueError(
                f"faces/{field.name}: got unknown in {unknown} of {num_faces} rows, expected in all or none"
            )
        if field.name == "source":  # names of files are bytes: those that are no UTF-8 come back unchanged
            values = [value.encode("utf-8", "surrogateescape") for value in values]
        dtype, shape = _COLUMNS[field.name]
        columns[field.name] = np.array(values, dtype)
        if columns[field.name].shape[1:] != shape:
            raise ValueError(f"faces/{field.name}: got {columns[field.name].shape[1:]} a row, expected {shape}")
    return columns


def column_fault(name: str, column: object) -> str | None:
    """Say why something in the group `faces` cannot be a column of it; None for one that can, of any length."""
    if not isinstance(column, h5py.Dataset) or not column.shape:
        return "that is no column, expected one entry a row"
    is_text = column.dtype.kind == "S" or h5py.check_string_dtype(column.dtype) is not None
    if not is_text and column.dtype.kind not in "biuf":
        return f"of {column.dtype}, expected numbers or text"
    if name not in _COLUMNS:
        return None
    dtype, shape = _COLUMNS[name]
    wants_text = np.dtype(dtype).kind in "OS"
    wants_int = np.dtype(dtype).kind == "i"
    if is_text != wants_text or column.shape[1:] != shape or (wants_int and column.dtype.kind not in "iu"):
        wanted = "text" if wants_text else "whole numbers" if wants_int else "numbers"
        return f"of {column.shape} {column.dtype}, expected {wanted} of shape {('N', *shape)}".replace("'N'", "N")
    return None
