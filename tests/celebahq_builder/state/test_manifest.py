"""The manifest: what is written stays, what is truncated is left out, what would mix is refused."""

import errno
import json
from dataclasses import replace

import pytest

from celebahq_builder.config import BuildError
from celebahq_builder.state.manifest import ManifestWriter, Row, read_manifest, refuse_changed_options, write_manifest

HEADER = {"input": "/photos", "resolution": 64}
FACE = Row(
    source="a.jpg",
    source_bytes=1000,
    source_mtime_ns=1_700_000_000_123_456_789,
    status="aligned",
    landmarks=((0.1, 0.2), (30.7, 0.3), (15.5, 20.0), (5.0, 35.25), (25.0, 35.1)),
    quad=((-20.0, -18.0), (-20.0, 50.0), (48.0, 50.0), (48.0, -18.0)),
    scale=1.0625,
    score=0.1 + 0.2,
    breadth=1 / 3,
    isotropy=0.9,
    perceptual_hash="8f" * 8,
)
REFUSED = Row(source="b.jpg", source_bytes=5, source_mtime_ns=7, status="refused", reason="no face found")


def written(path, *photos):
    write_manifest(path, HEADER, [])
    with ManifestWriter(path) as manifest:
        for rows in photos:
            manifest.append(rows)
    return path


def test_rows_come_back_as_they_were(tmp_path):
    path = written(tmp_path / "m.jsonl", [FACE], [REFUSED])
    assert read_manifest(path) == (HEADER, [FACE, REFUSED])


def test_manifest_of_before_says_rendered_where_this_one_says_aligned(tmp_path):
    path = written(tmp_path / "m.jsonl", [FACE], [REFUSED])
    path.write_text(path.read_text().replace('"status": "aligned"', '"status": "rendered"'))
    assert read_manifest(path) == (HEADER, [FACE, REFUSED])


@pytest.mark.parametrize(
    "name", ["newline\n.jpg", "not utf-8 \udcff.jpg", "smile \U0001f600.jpg", '"<&>".jpg', "日本/語.png"]
)
def test_names_of_any_characters_come_back(tmp_path, name):
    path = written(tmp_path / "m.jsonl", [replace(FACE, source=name)], [REFUSED])
    assert [row.source for row in read_manifest(path)[1]] == [name, "b.jpg"]


def test_one_line_a_face_after_the_options(tmp_path):
    path = written(tmp_path / "m.jsonl", [FACE], [REFUSED])
    lines = path.read_bytes().splitlines()
    assert [json.loads(line).get("source") for line in lines] == [None, "a.jpg", "b.jpg"]


def test_photo_truncated_anywhere_is_left_out_and_nothing_before_it(tmp_path):
    two = [replace(FACE, source="c.jpg", rows=2), replace(FACE, source="c.jpg", rows=2, face_index=1)]
    path = written(tmp_path / "m.jsonl", [FACE], [REFUSED])
    whole = path.stat().st_size
    with ManifestWriter(path) as manifest:
        manifest.append(two)
    data = path.read_bytes()
    for end in range(whole, len(data), 7):
        path.write_bytes(data[:end])
        assert read_manifest(path) == (HEADER, [FACE, REFUSED])
    path.write_bytes(data)
    assert read_manifest(path) == (HEADER, [FACE, REFUSED, *two])


def test_truncated_first_line_is_a_build_that_never_began(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"input": "/pho')
    assert read_manifest(path) == ({}, [])


def test_line_spoiled_in_the_middle_is_refused(tmp_path):
    path = written(tmp_path / "m.jsonl", [FACE], [REFUSED])
    path.write_bytes(path.read_bytes().replace(b'"a.jpg"', b'"a.jp'))
    with pytest.raises(BuildError, match=r"m\.jsonl: line 2 is not a row; delete .* to start the build again"):
        read_manifest(path)


def test_full_disk_names_the_manifest_and_leaves_no_truncated_line(tmp_path):
    path = tmp_path / "m.jsonl"
    path.symlink_to("/dev/full")
    with ManifestWriter(path) as manifest, pytest.raises(OSError, match="No space left") as caught:
        manifest.append([FACE])
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)


def test_rows_of_a_photo_arrive_in_one_write(tmp_path, monkeypatch):
    """What another process sees of the file at any moment ends with a whole photo."""
    path = written(tmp_path / "m.jsonl")
    sizes = []
    with ManifestWriter(path) as manifest:
        for i in range(3):
            manifest.append([replace(FACE, source=f"{i}", rows=2, face_index=k) for k in range(2)])
            sizes.append(path.stat().st_size)  # nothing waits in a buffer
            assert len(read_manifest(path)[1]) == 2 * (i + 1)
    assert sizes[-1] == path.stat().st_size


def test_changed_option_is_refused_with_both_values_and_the_remedy(tmp_path):
    with pytest.raises(BuildError) as caught:
        refuse_changed_options(tmp_path / "f.h5.build" / "manifest.jsonl", HEADER, HEADER | {"resolution": 128})
    message = str(caught.value)
    assert message.startswith("--resolution: this build was begun with 64, now it is 128; ")
    assert "--output" in message and "f.h5.build" in message and "\n" not in message


def test_build_of_a_clone_that_did_not_know_its_version_goes_on(tmp_path):
    refuse_changed_options(tmp_path, HEADER | {"builder_version": "unknown"}, HEADER | {"builder_version": "0.1.0"})
    with pytest.raises(BuildError, match=r"builder_version: this build was begun with 0\.0\.9, now it is 0\.1\.0"):
        refuse_changed_options(tmp_path, HEADER | {"builder_version": "0.0.9"}, HEADER | {"builder_version": "0.1.0"})


def test_same_options_are_accepted(tmp_path):
    refuse_changed_options(tmp_path / "manifest.jsonl", HEADER, dict(HEADER))
