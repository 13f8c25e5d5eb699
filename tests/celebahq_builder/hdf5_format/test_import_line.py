"""Images in place of a dataset file: the refusal names the command that makes one of them."""

import shlex
import shutil

import pytest

from celebahq_builder.hdf5 import DatasetError, open_dataset


@pytest.mark.parametrize("kind", ["my faces", "faces.zip", "faces.tar", "faces.bin", "faces.tfrecords"])
def test_images_in_place_of_a_dataset_are_told_what_makes_one_of_them(tmp_path, kind):
    path = tmp_path / kind
    if kind.endswith((".zip", ".tar")):
        (tmp_path / "face.png").write_bytes(b"png")
        shutil.make_archive(path.with_suffix(""), path.suffix[1:], tmp_path, "face.png")
    elif kind == "my faces":
        path.mkdir()
    else:
        path.write_bytes(b"of no known kind")
    with pytest.raises(DatasetError) as refused:
        open_dataset(path)
    message = str(refused.value)
    line = f"; images become one by: celebahq-data import {shlex.quote(str(path))} --output NAME.h5"
    assert message.endswith("expected a dataset made by celebahq-build" + line * (kind != "faces.bin"))
