"""A file to S3 in parts: what a kill left there is not sent again, and only equal bytes count as there."""

import hashlib

import pytest

from celebahq_builder.stores import checksums, s3_parts, send_file
from celebahq_builder.stores.place import open_place

MIB = 1 << 20


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file of three parts, of the least size that S3 takes."""
    monkeypatch.setattr(checksums, "PART_BYTES", 5 * MIB)
    path = tmp_path / "large.h5"
    path.write_bytes(hashlib.shake_256(b"large").digest(12 * MIB))
    return path


@pytest.fixture
def place(store, flaky):
    yield open_place("s3://photos/parts/large.h5")
    store.delete_object(Bucket="photos", Key="parts/large.h5")


def test_parts_that_were_there_before_a_kill_are_not_sent_again(large, place, store, flaky, monkeypatch):
    monkeypatch.setattr(s3_parts, "_AT_ONCE", 1)
    sent = []

    def ends(num_bytes):
        sent.append(num_bytes)
        if len(sent) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_file.send_file(place.system, place.of("large.h5"), large, ends)
    assert "large.h5" not in place.listing()
    before = flaky.sent["large.h5"]
    assert 1 <= before <= 2
    flaky.methods = ("PUT", "POST", "GET", "HEAD")
    flaky.faults["large.h5"] = 3
    info = send_file.send_file(place.system, place.of("large.h5"), large)
    assert flaky.sent["large.h5"] == 3 and not flaky.faults["large.h5"]
    assert store.get_object(Bucket="photos", Key="parts/large.h5")["Body"].read() == large.read_bytes()
    assert info["size"] == 12 * MIB and info["ETag"].strip('"').endswith("-3")
    assert checksums.is_equal(place.system, place.of("large.h5"), info, large, read_back=False)


def test_object_of_other_bytes_and_equal_size_is_not_equal_whatever_its_parts(large, place, store):
    other = b"?" + large.read_bytes()[1:]
    store.put_object(Bucket="photos", Key="parts/large.h5", Body=other)
    info = place.listing()["large.h5"]
    assert info["size"] == large.stat().st_size
    assert not checksums.is_equal(place.system, place.of("large.h5"), info, large, read_back=True)
    info = {"size": info["size"]}  # a store that states no checksum is read
    assert not checksums.is_equal(place.system, place.of("large.h5"), info, large, read_back=True)
    large.write_bytes(other)
    assert checksums.is_equal(place.system, place.of("large.h5"), info, large, read_back=True)


def test_store_that_keeps_other_bytes_than_were_sent_is_found_out(large, place, monkeypatch):
    monkeypatch.setattr(send_file, "_S3", set())  # by a name of its own first, and then compared
    monkeypatch.setattr(type(place.system), "mv", lambda self, a, b: self.pipe_file(b, b"?" * (12 * MIB)))
    with pytest.raises(send_file.SendError, match="got other bytes than those of"):
        send_file.send_file(place.system, place.of("large.h5"), large)
    place.system.rm_file(place.of("large.h5.partial"))


def test_stated_checksums_are_those_of_the_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    md5, sha256 = hashlib.md5(b"abc"), hashlib.sha256(b"abc").hexdigest()
    stated = [{"md5Hash": "kAFQmDzST7DWlj99KOF/cg=="}, {"lfs": {"sha256": sha256}}, {"ETag": f'"{md5.hexdigest()}"'}]
    assert [checksums.stated_checksum(info)[0] for info in stated] == ["md5", "sha256", "etag"]
    assert all(checksums.is_checksum_of(path, *checksums.stated_checksum(info)) for info in stated)
    path.write_bytes(b"abcd")
    assert not any(checksums.is_checksum_of(path, *checksums.stated_checksum(info)) for info in stated)
    assert checksums.stated_checksum({"ETag": "W/x"}) is None
    assert checksums.part_bytes(5 << 40) * 10_000 > 5 << 40 > 0 and checksums.part_bytes(1) == 16 * MIB
