"""A file is whole or not there, and a failed write leaves what was there before."""

import errno

import pytest

from celebahq_builder.whole_file import write_whole


@pytest.mark.parametrize("durable", [False, True])
def test_file_is_written_and_replaced(tmp_path, durable):
    for data in (b"one", b"another"):
        write_whole(tmp_path / "f", data, durable)
        assert (tmp_path / "f").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_failed_write_names_the_file_and_keeps_the_old_one(tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(tmp_path / "f", b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
