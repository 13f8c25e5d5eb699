"""Lists of landmarks: read as the released program reads them, or refused by line and by name."""

from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.landmark_lists import read_celeba_landmarks

HEADER = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


def listed(tmp_path: Path, rows: list[str], count: int | None = None, end: str = "\n") -> Path:
    path = tmp_path / "list.txt"
    path.write_bytes(end.join([str(len(rows) if count is None else count), HEADER, *rows, ""]).encode())
    return path


ROWS = [
    "000001.jpg 165  184  244  176  196  249  194  271  266  260",
    "my photo.jpg 140 204 220 204 168 254 146 289 226 289",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_celeba_list_is_read_as_the_released_program_reads_it(tmp_path, end):
    found = read_celeba_landmarks(listed(tmp_path, ROWS, end=end))
    assert list(found) == ["000001.jpg", "my photo.jpg"]
    assert found["000001.jpg"].dtype == np.float32
    np.testing.assert_array_equal(found["000001.jpg"], [(165, 184), (244, 176), (196, 249), (194, 271), (266, 260)])


@pytest.mark.parametrize(
    ("rows", "count", "words"),
    [
        ([ROWS[0], "000002.jpg 1 2 3"], None, "line 4: '000002.jpg 1 2 3', a name and ten numbers are wanted"),
        ([ROWS[0], ROWS[0].replace("165", "left")], None, "line 4: .*a name and ten numbers are wanted"),
        ([ROWS[0].removeprefix("000001.jpg ")], None, "line 3: .*a name and ten numbers are wanted"),
        ([ROWS[0], ROWS[0]], None, "line 4: 000001.jpg is listed twice"),
        (ROWS, 3, "2 photos are listed, line 1 says 3"),
    ],
)
def test_malformed_list_is_refused_with_its_line(tmp_path, rows, count, words):
    with pytest.raises(ValueError, match=f"list.txt: {words}"):
        read_celeba_landmarks(listed(tmp_path, rows, count))


def test_file_that_is_no_list_is_refused(tmp_path):
    for content in (b"", b"image_id,lefteye_x\n000001.jpg,69\n", b"\xff\xd8\xff"):
        (tmp_path / "list.txt").write_bytes(content)
        with pytest.raises(ValueError, match=r"list.txt: line 1: .*the number of photos is wanted"):
            read_celeba_landmarks(tmp_path / "list.txt")


def test_aligned_list_is_refused_with_an_explanation(tmp_path):
    rows = [
        "000001.jpg 69  109  106  113   77  142   73  152  108  154",  # the first rows of list_landmarks_align_celeba
        "000002.jpg 69  110  107  112   81  135   70  151  108  153",
        "000003.jpg 76  112  104  106  108  128   74  156   98  158",
        "000004.jpg 72  113  108  108  101  138   71  155  101  151",
    ]
    with pytest.raises(ValueError, match=r"aligned 178x218 pictures.*list_landmarks_celeba.txt.*is wanted"):
        read_celeba_landmarks(listed(tmp_path, rows))
