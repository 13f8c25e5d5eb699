"""Images in place of a dataset file: the refusal names the command that makes one of them."""

import shlex
import shutil

import pytest

from celebahq_builder.formats import READERS, _module
from celebahq_builder.hdf5 import DatasetError, open_dataset

IMPORTED = ["my faces", "faces.zip", "faces.tar", "Faces.PARQUET", "faces-r05.tfrecords"]


@pytest.mark.parametrize("kind", [*IMPORTED, "faces.bin", "zipped.h5"])
def test_images_in_place_of_a_dataset_are_told_what_makes_one_of_them(tmp_path, kind):
    path = tmp_path / kind
    if kind.endswith((".zip", ".tar", ".h5")):
        (tmp_path / "face.png").write_bytes(b"png")
        as_zip = "tar" if path.suffix == ".tar" else "zip"
        shutil.move(shutil.make_archive(str(tmp_path / "made"), as_zip, tmp_path, "face.png"), path)
    elif kind == "my faces":
        path.mkdir()
    else:
        path.write_bytes(b"of no known kind")
    with pytest.raises(DatasetError) as refused:
        open_dataset(path)
    message = str(refused.value)
    line = f"; images become one by: celebahq-data import {shlex.quote(str(path))} --output NAME.h5"
    assert message.endswith("expected a dataset made by celebahq-build" + line * (kind in IMPORTED))
    reader = next((name for name in READERS if _module(name).recognises(path)), None)
    assert (reader not in (None, "hdf5_file") or path.is_dir()) == (kind in IMPORTED), "as import takes it"
