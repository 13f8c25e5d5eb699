"""The HDF5 file of the official set: verified images in the authors' order, with everything that is known of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from celebahq.files import sha256_of
from celebahq.progress import progress
from celebahq_builder.hdf5 import Dataset, DatasetError, DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.official.celeba import ATTRIBUTES, IDENTITIES, find_list, read_attributes, read_identities
from celebahq_builder.official.face import RESOLUTION, OfficialRow, chw_md5
from celebahq_builder.official.image_list import OfficialError, OfficialImage
from celebahq_builder.pyramid import pyramid


@dataclass(frozen=True)
class EarlierFile:
    """An output of before, whose images are taken over: {idx: row in it}."""

    dataset: Dataset
    rows: dict[int, int]


def open_earlier(path: Path, images: list[OfficialImage]) -> EarlierFile | None:
    """Open the output where it exists already; OfficialError where it is not one of this command and this list."""
    if not path.exists():
        return None
    try:
        dataset = open_dataset(path)
    except DatasetError as error:
        raise OfficialError(f"{error}; move it away or choose another --output") from None
    columns, expected = dataset.faces, {image.idx: image.final_md5 for image in images}
    if "idx" not in columns or "final_md5" not in columns or dataset.resolution != RESOLUTION:
        dataset.close()
        raise OfficialError(
            f"{path}: got another dataset, expected none or one of this command; choose another --output"
        )
    pairs = zip(columns["idx"].tolist(), columns["final_md5"], strict=True)
    rows = {idx: row for row, (idx, md5) in enumerate(pairs) if expected.get(idx) == md5}
    if len(rows) < len(dataset):
        dataset.close()
        raise OfficialError(f"{path}: got images of another list, expected those of this one; choose another --output")
    return EarlierFile(dataset, rows)


def write_official_file(
    path: Path,
    images: list[OfficialImage],
    made: Mapping[int, OfficialRow],
    faces: Path,
    earlier: EarlierFile | None,
    celeba: Path,
    landmarks: Mapping[str, np.ndarray],
    list_sha256: str,
    compression: str | None,
) -> int:
    """Write or extend the file with what is verified; every image's md5 is taken once more. Returns their number.

    Args:
        made: rows of this run, by idx; their images lie in `faces`.
        earlier: the file of before, or None.
    """
    old = earlier.rows if earlier else {}
    chosen = [image for image in images if image.idx in made or image.idx in old]
    names, labels = _labels(celeba, chosen)
    identities = _identities(celeba, chosen)
    settings = {"command": "official", "geometry": "released", "decoder": "libjpeg8d", "restore": "deltas"}
    writer = DatasetWriter(
        path,
        RESOLUTION,
        len(chosen),
        attributes={"config": json.dumps(settings | {"image_list_sha256": list_sha256})},
        compression=compression,
        labels=labels,
        label_names=names,
        replace=earlier is not None,
    )
    columns = earlier.dataset.faces if earlier else {}
    with writer, progress("images into the file", len(chosen)) as bar:
        for i, image in enumerate(chosen):
            if image.idx in old:
                assert earlier is not None
                face = earlier.dataset.read(RESOLUTION, [old[image.idx]])[0].transpose(1, 2, 0)
                kept = {
                    name: columns[name][old[image.idx]] for name in ("source_sha256", "pixel_sha256", "quad", "scale")
                }
            else:
                face, row = read_png(faces / f"{image.name}.png"), made[image.idx]
                kept = {"source_sha256": row.source_sha256, "pixel_sha256": row.pixel_sha256}
                kept |= {"quad": np.array(row.quad), "scale": row.side / RESOLUTION}
            if chw_md5(face) != image.final_md5:
                raise OfficialError(f"{image.name}: got a changed image, expected md5 {image.final_md5}; run it again")
            record = FaceRecord(
                source=image.orig_file,
                landmarks=landmarks[image.orig_file],
                idx=image.idx,
                orig_idx=image.orig_idx,
                proc_md5=image.proc_md5,
                final_md5=image.final_md5,
                identity=identities[i] if identities else None,
                **kept,
            )
            writer.write(pyramid(np.ascontiguousarray(face)), record)
            bar.advance()
    return len(chosen)


def read_png(path: Path) -> np.ndarray:
    """(R, R, 3) uint8 RGB; OfficialError where it cannot be decoded."""
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise OfficialError(f"{path}: got a damaged PNG, expected a whole one; remove it and run the command again")
    return image[..., ::-1]


def sha256_of_list(path: Path) -> str:
    return sha256_of(path)


def _labels(celeba: Path, chosen: list[OfficialImage]) -> tuple[list[str] | None, np.ndarray | None]:
    """CelebA's attributes, where its list is there: names, and (N, L) of 0 and 1."""
    path = find_list(celeba, ATTRIBUTES)
    if path is None:
        return None, None
    names, found = read_attributes(path)
    if missing := [image.orig_file for image in chosen if image.orig_file not in found]:
        raise OfficialError(f"{path}: got no line for {missing[0]}, expected one for every photo")
    return names, np.stack([found[image.orig_file] for image in chosen])


def _identities(celeba: Path, chosen: list[OfficialImage]) -> list[int] | None:
    path = find_list(celeba, IDENTITIES)
    if path is None:
        return None
    found = read_identities(path)
    if missing := [image.orig_file for image in chosen if image.orig_file not in found]:
        raise OfficialError(f"{path}: got no line for {missing[0]}, expected one for every photo")
    return [found[image.orig_file] for image in chosen]
