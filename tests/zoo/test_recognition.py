"""A file finds its entry, and so its license, by the published hash before its name."""

import hashlib

import pytest

from zoo.catalog import Catalog, Source, read_catalog
from zoo.recognition import recognise_file

CONTENT = b"a checkpoint"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def found(tmp_path, monkeypatch, entry_of):
    """A function: the file's name, sources -> how it is recognised."""

    def find(name, **sources):
        path = tmp_path / name
        path.write_bytes(CONTENT)
        entries = {key: entry_of(source, name=key) for key, source in sources.items()}
        monkeypatch.setattr("zoo.recognition.read_catalog", lambda: Catalog(entries=entries, layouts={}))
        result = recognise_file(path, SHA256)
        return result and (result.entry.name, result.by_hash)

    return find


def source(file="faces.pth", **known):
    return Source(file=file, layout="ours", url="http://x/", **known)


def test_published_hash_counts_whatever_the_file_is_called(found):
    assert found("renamed.bin", a=source(), b=source(sha256_prefix=SHA256[:8])) == ("b", True)


def test_git_s_hash_counts(found):
    blob = hashlib.sha1(b"blob 12\0" + CONTENT).hexdigest()
    assert found("renamed.bin", a=source(git_blob_prefix=blob[:8])) == ("a", True)


def test_a_name_counts_where_no_hash_is_published(found):
    assert found("faces.pth", a=source("other.pth"), b=source()) == ("b", False)


def test_a_name_with_another_hash_or_size_is_another_file(found):
    assert found("faces.pth", a=source(sha256_prefix="0" * 8)) is None
    assert found("faces.pth", a=source(size=13)) is None


def test_a_name_that_everybody_uses_says_nothing(found):
    assert found("pytorch_model.bin", a=source("pytorch_model.bin")) is None


def test_released_pickle_is_recognised_by_its_name(tmp_path):
    path = tmp_path / "karras2018iclr-lsun-cat-256x256.pkl"
    path.write_bytes(CONTENT)
    found = recognise_file(path, SHA256)
    assert found.entry is read_catalog().entries["lsun-cat-256"] and not found.by_hash


def test_a_converter_s_file_is_that_of_the_converter(tmp_path):
    path = tmp_path / "pggan_cat256.pth"
    path.write_bytes(CONTENT)
    assert recognise_file(path, SHA256).entry.name == "lsun-cat-256.genforce"
