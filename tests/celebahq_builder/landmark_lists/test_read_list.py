"""Lists of landmarks: read as the released program reads them, or refused by line and by name."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.landmark_lists.match import match, upright_points
from celebahq_builder.landmark_lists.read_list import read_landmark_list
from celebahq_builder.photos import decode_with_orientation

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
    found = read_landmark_list(listed(tmp_path, ROWS, end=end))
    assert list(found) == ["000001.jpg", "my photo.jpg"]
    assert found["000001.jpg"].dtype == np.float32
    np.testing.assert_array_equal(found["000001.jpg"], [(165, 184), (244, 176), (196, 249), (194, 271), (266, 260)])


@pytest.mark.parametrize(
    ("rows", "count", "words"),
    [
        ([ROWS[0], "000002.jpg 1 2 3"], None, "line 4: got '000002.jpg 1 2 3', expected a name and ten numbers"),
        ([ROWS[0], ROWS[0].replace("165", "left")], None, "line 4: got .*expected a name and ten numbers"),
        ([ROWS[0].removeprefix("000001.jpg ")], None, "line 3: got .*expected a name and ten numbers"),
        ([ROWS[0], ROWS[0]], None, "line 4: got 000001.jpg for the second time"),
        (ROWS, 3, "got 2 photos, expected 3, as line 1 says"),
    ],
)
def test_malformed_list_is_refused_with_its_line(tmp_path, rows, count, words):
    with pytest.raises(ValueError, match=f"list.txt: {words}"):
        read_landmark_list(listed(tmp_path, rows, count))


def test_file_that_is_no_list_is_refused(tmp_path):
    for content in (b"", b"image_id,lefteye_x\n000001.jpg,69\n", b"\xff\xd8\xff"):
        (tmp_path / "list.txt").write_bytes(content)
        with pytest.raises(ValueError, match=r"list.txt: line 1: got .*expected the number of photos"):
            read_landmark_list(tmp_path / "list.txt")


def test_aligned_list_is_refused_with_an_explanation(tmp_path):
    rows = [
        "000001.jpg 69  109  106  113   77  142   73  152  108  154",  # the first rows of list_landmarks_align_celeba
        "000002.jpg 69  110  107  112   81  135   70  151  108  153",
        "000003.jpg 76  112  104  106  108  128   74  156   98  158",
        "000004.jpg 72  113  108  108  101  138   71  155  101  151",
    ]
    with pytest.raises(ValueError, match=r"aligned 178x218 images.*expected .*list_landmarks_celeba.txt"):
        read_landmark_list(listed(tmp_path, rows))


POINTS = np.array([(165, 184), (244, 176), (196, 249), (194, 271), (266, 260)], np.float32)
COLUMNS = (
    "image_id lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
)


@pytest.mark.parametrize(
    ("encoding", "delimiter", "end"),
    [("utf-8", ",", "\n"), ("utf-8-sig", ";", "\r\n"), ("utf-16", "\t", "\r\n"), ("utf-8", "\t", "\n")],
)
def test_csv_with_commas_semicolons_or_tabs_is_read(tmp_path, encoding, delimiter, end):
    rows = [COLUMNS.split(), ["a, b.jpg" if delimiter != "," else "a b.jpg", *POINTS.ravel().astype(int)]]
    text = end.join(delimiter.join(map(str, row)) for row in rows) + end
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    ((name, points),) = read_landmark_list(tmp_path / "list.csv").items()
    assert name == rows[1][0]
    np.testing.assert_array_equal(points, POINTS)


def test_csv_without_names_of_columns_and_with_decimal_commas_is_read(tmp_path):
    numbers = [f"{value:.1f}".replace(".", ",") for value in POINTS.ravel() + 0.5]
    (tmp_path / "list.csv").write_text(";".join(["a.jpg", *numbers]))
    np.testing.assert_array_equal(read_landmark_list(tmp_path / "list.csv")["a.jpg"], POINTS + 0.5)


def test_csv_with_a_row_too_short_or_no_row_is_refused_with_its_line(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(COLUMNS.replace(" ", ",") + "\na.jpg,1,2\n")
    with pytest.raises(ValueError, match=r"list.csv: line 2: got 'a.jpg,1,2', expected a name and ten numbers"):
        read_landmark_list(path)
    path.write_text(COLUMNS.replace(" ", ",") + "\n")
    with pytest.raises(ValueError, match=r"list.csv: got no photo, expected rows of name, lefteye_x"):
        read_landmark_list(path)


def ffhq(points: np.ndarray) -> dict:
    """A record of FFHQ whose 68 points reduce to these five."""
    many = np.zeros((68, 2))
    for place, point in zip((slice(36, 42), slice(42, 48), 30, 48, 54), points, strict=True):
        many[place] = point
    return {"in_the_wild": {"file_path": "in-the-wild-images/00000/00007.png", "face_landmarks": many.tolist()}}


def test_json_of_ffhq_is_read_and_another_is_refused_by_name(tmp_path):
    path = tmp_path / "ffhq-dataset-v2.json"
    path.write_text(json.dumps({"7": ffhq(POINTS)}))
    found = read_landmark_list(path)
    np.testing.assert_array_equal(found["in-the-wild-images/00000/00007.png"], POINTS)
    assert match(found, ["00000/00007.png"])["00000/00007.png"] is not None
    for other in ([1, 2], {"a": {"x": 1}}, {"7": ffhq(POINTS)["in_the_wild"]}, {"7": {"in_the_wild": {}}}):
        path.write_text(json.dumps(other))
        with pytest.raises(ValueError, match=r"v2.json: got another json, expected FFHQ's ffhq-dataset-v2.json"):
            read_landmark_list(path)


ORDERS = {  # name in the message -> the ten expected numbers, rearranged as the other program writes them
    "the order x1 ... x5 y1 ... y5": lambda p: p.T.ravel(),
    "y before x": lambda p: p[:, ::-1].ravel(),
    "left and right as the person sees them": lambda p: p[[1, 0, 2, 4, 3]].ravel(),
    "the nose first": lambda p: p[[2, 0, 1, 3, 4]].ravel(),
    "numbers up to 0.91": lambda p: p.ravel() / 300,
}


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("count", [1, 27])
def test_another_order_of_the_numbers_is_refused_by_name(tmp_path, name, count):
    """Heads are turned and tilted at random; the mean of their points is a face."""
    rng, rows = np.random.default_rng(0), []
    mean = np.array([(100, 100), (140, 100), (120, 122), (103, 141), (137, 141)]) - 120
    for i in range(count):
        angle = rng.uniform(-0.5, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (mean * [rng.uniform(0.8, 1.1), 1] + rng.normal(0, 2, (5, 2))) @ turn.T + 240
        points *= 273 / points.max()
        rows.append((f"{i}.jpg", points))
    right = [f"{photo} {' '.join(map(str, points.ravel()))}" for photo, points in rows]
    assert len(read_landmark_list(listed(tmp_path, right))) == count
    wrong = [f"{photo} {' '.join(map(str, ORDERS[name](points)))}" for photo, points in rows]
    with pytest.raises(ValueError, match=f"got {name}.*, expected"):
        read_landmark_list(listed(tmp_path, wrong))


def test_bare_name_that_fits_photos_of_two_folders_is_given_to_none_of_them():
    found = match({"1.jpg": POINTS, "2.jpg": POINTS}, ["a/1.jpg", "b/1.jpg", "b/2.jpg", "c/3.jpg"])
    assert found["a/1.jpg"] == found["b/1.jpg"] == "1.jpg fits a/1.jpg and b/1.jpg"
    assert found["b/2.jpg"] is POINTS and found["c/3.jpg"] is None


def test_line_with_the_folder_of_a_photo_is_its_own_whatever_else_is_listed():
    other = POINTS + 1
    found = match({"1.jpg": POINTS, "a/1.jpg": other}, ["1.jpg", "a/1.jpg"])
    assert found["1.jpg"] is POINTS and found["a/1.jpg"] is other


def test_photo_that_two_lines_fit_gets_neither():
    assert match({"a/1.jpg": POINTS, "b/1.jpg": POINTS}, ["1.jpg"])["1.jpg"] == "listed as a/1.jpg and b/1.jpg"


def test_names_that_only_end_alike_are_not_the_same():
    assert match({"11.jpg": POINTS, "aa/1.jpg": POINTS}, ["1.jpg", "a/1.jpg"]) == {
        "1.jpg": POINTS,
        "a/1.jpg": None,
    }


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_points_of_the_stored_photo_are_turned_along_with_it(orientation, suffix):
    """Five dots of five colors on black: after decoding, each is where its point says."""
    stored = np.zeros((120, 200, 3), np.uint8)
    points = np.array([(40, 30), (90, 34), (66, 60), (44, 90), (88, 92)], np.float32)
    colors = np.array([(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250)])
    for (x, y), color in zip(points.astype(int), colors, strict=True):
        stored[y - 4 : y + 5, x - 4 : x + 5] = color
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(stream, suffix, exif=exif, **({"quality": 95} if suffix != "TIFF" else {}))
    photo, found = decode_with_orientation(stream.getvalue())
    assert found == orientation
    turned = upright_points(points, found, photo.shape)
    mirrored = orientation in (2, 4, 5, 7)
    for (x, y), color in zip(turned.astype(int), colors[[1, 0, 2, 4, 3]] if mirrored else colors, strict=True):
        assert np.abs(photo[y, x] - color).max() < 60
