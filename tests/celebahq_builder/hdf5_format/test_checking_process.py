"""The process that checks a file, where its end cannot be asked for: a daemon left SIGCHLD ignored."""

import signal
import sys

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetError, DatasetWriter
from celebahq_builder.hdf5_format import validation
from celebahq_builder.pyramid import pyramid

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are checked by a process on Linux")


@pytest.fixture
def sound(tmp_path):
    with DatasetWriter(tmp_path / "sound.h5", 8, 1) as writer:
        writer.write(pyramid(np.full((8, 8, 3), 7, np.uint8)))
    return tmp_path / "sound.h5"


def test_a_process_that_ignores_the_end_of_its_children_refuses_files_as_any_other(sound, tmp_path):
    damaged, other = tmp_path / "damaged.h5", tmp_path / "other.h5"
    damaged.write_bytes(sound.read_bytes()[:1000])
    with h5py.File(other, "w") as file:
        file["data8x8"] = h5py.ExternalLink("elsewhere.h5", "data8x8")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        validation.check_file(sound)
        for path in (damaged, other):
            with pytest.raises(DatasetError, match=path.name):
                validation.check_file(path)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_child_that_ends_without_a_word_says_that_the_file_is_damaged(sound, monkeypatch):
    monkeypatch.setattr(validation, "_check", lambda *_: 1 // 0)
    with pytest.raises(DatasetError, match="damaged file that cannot be read to its end"):
        validation.check_file(sound)
