"""select, drop, sort, merge: the right rows, with everything that belongs to them, and one line for all else."""

import json

import h5py
import numpy as np
import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildError
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.hdf5_format.rows import read_rows
from celebahq_builder.pyramid import pyramid


def make(
    path, seeds, noise_image, *, masks=True, names=("smiling", "5 o'clock"), side=16, config=None, gray=False, **more
):
    """A dataset with labels, masks and provenance; the seed of a face decides about all of it."""
    labels = np.array([[seed % 2, -1.0] for seed in seeds], np.float32)
    attributes = {"config": json.dumps({"geometry": "paper", "restore": "off"} | (config or {}))}
    with DatasetWriter(
        path, side, len(seeds), labels=labels, label_names=names, masks=masks, attributes=attributes,
        channels=1 if gray else 3,
    ) as writer:  # fmt: skip
        for seed in seeds:
            face = FaceRecord(
                source=f"p/{seed}.jpg", source_sha256=f"{seed:064x}", pixel_sha256=f"{seed:064x}", scale=float(seed),
                score=1 - seed / 100, quad=np.full((4, 2), seed), **({"padding": 0.1} | more),
            )  # fmt: skip
            levels = pyramid(noise_image(seed, side))
            levels = {r: level[:1] for r, level in levels.items()} if gray else levels
            writer.write(levels, face, mask=np.full((side, side), seed, np.uint8) if masks else None)
    return path


def seeds_of(path):
    """Which faces a file holds, each seen by its pixels, mask, label and column alike."""
    with open_dataset(path) as dataset, h5py.File(path) as file:
        seeds = [int(name.split("/")[1].removesuffix(".jpg")) for name in dataset.faces["source"]]
        assert file["faces/source_sha256"].dtype == "S64"
        for i, seed in enumerate(seeds):
            assert file["masks16x16"][i, 3, 3] == seed and dataset.faces["scale"][i] == seed
            assert dataset.labels[i].tolist() == [seed % 2, -1.0]
            rng = np.random.default_rng(seed)
            image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8).transpose(2, 0, 1)
            np.testing.assert_array_equal(dataset.read(16, [i])[0][:1], image[: dataset.channels][:1])
        assert dataset.label_names == ("smiling", "5 o'clock")
        return seeds


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["--where", "score > .93"], [1, 2, 3, 4, 5, 6]),
        (["--where", "not (scale >= 3 and smiling = 1) and .9 < score < .99"], [2, 4, 6, 8]),
        (["--where", 'source has "p/1" or `5 o\'clock` > 0'], [1, 10, 11, 12]),
        (["--where", "source = 'p/3.jpg' or row == 0"], [1, 3]),
        (["--top", "2"], [1, 2]),
        (["--where", "smiling != 1", "--top", "2"], [2, 4]),
    ],
)
def test_select_writes_the_rows_that_fulfil_the_condition(tmp_path, noise_image, run, words, seeds):
    path = make(tmp_path / "f.h5", range(1, 13), noise_image)
    assert run("select", path, "--output", tmp_path / "g.h5", *words) == 0
    assert seeds_of(tmp_path / "g.h5") == seeds
    assert run("verify", tmp_path / "g.h5") == 0


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("scor > 1", "--where: got the column scor, expected one of 5 o'clock, face_index"),
        ("score >", "--where: got its end in 'score >', expected a column, a number or a quoted text"),
        ("score", "--where: got its end in 'score', expected a comparison"),
        ("(score > 1", "--where: got its end in '(score > 1', expected )"),
        ("score > 1)", "--where: got ) in 'score > 1)', expected conditions like"),
        ("score > 'a'", "--where: got the text 'a' compared with the number score, expected two of a kind"),
        ("score has 1", "--where: got score has 1, expected a column of text and a quoted text"),
        ("__import__('os')", "--where: got the column __import__, expected one of"),
        ("score > 1; 2", "--where: got '; 2' in"),
        ("(" * 500 + "score > 1" + ")" * 500, "--where: got more than 100 brackets or nots within each other"),
        ("score > 1" + " or score > 1" * 2000, "--where: got 26,009 characters, expected at most 10,000"),
        ("", "--where: got its end in '', expected a column"),
        ("score > 2", "got none of its 3 rows left, expected at least one"),
    ],
)
def test_condition_that_cannot_be_read_is_one_line(tmp_path, noise_image, refusal, capsys, condition, message):
    path = make(tmp_path / "f.h5", range(3), noise_image)
    assert message in refusal(capsys, "select", path, "--output", tmp_path / "g.h5", "--where", condition)
    assert not (tmp_path / "g.h5").exists()


def test_unknown_numbers_fulfil_no_comparison():
    from celebahq_builder.hdf5_format.where import where

    columns = {"a": np.array([1.0, np.nan, 3.0]), "b": np.array(["x", "", "xy"], object)}
    for condition in ("a > 0", "a < 9", "a != 7", "a = a"):
        assert where(condition, columns).tolist() == [True, False, True], condition
    assert where("not a > 0", columns).tolist() == [False, True, False]
    assert where('b has "x" and b != "x"', columns).tolist() == [False, False, True]
    assert where("1 < 2", columns).tolist() == [True, True, True]
    assert where("a > 2 or a > 0 and b = ''", columns).tolist() == [False, False, True], "and binds closer"


def test_a_label_does_not_hide_the_number_of_its_name(tmp_path, noise_image, run, capsys):
    path = make(tmp_path / "f.h5", range(1, 13), noise_image, names=("score", "row"))
    assert (
        run("select", path, "--output", tmp_path / "g.h5", "--where", "score > .93 and label.score = 1 and row < 4")
        == 0
    )
    with open_dataset(tmp_path / "g.h5") as dataset:
        assert list(dataset.faces["scale"]) == [1, 3]
    line = "labels: score is also a number of every row; the label is called label.score"
    assert line in "".join(capsys.readouterr())


def test_what_was_not_judged_fulfils_no_comparison(sequence, run, refusal, capsys):
    build(sequence.config)
    path = sequence.config.output
    assert set(read_rows(path)["place"].tolist()) == {-1}
    words = ["select", path, "--output", sequence.folder / "g.h5", "--where"]
    assert "got none of its" in refusal(capsys, *words, "place < 5")
    assert run(*words, "not place >= 0") == 0


def test_drop_leaves_out_what_the_list_names_and_counts_what_it_does_not_find(tmp_path, noise_image, run, capsys):
    path = make(tmp_path / "f.h5", range(1, 6), noise_image)
    (tmp_path / "l.txt").write_text("# rejected\np/2.jpg\np/4.jpg#0\np/5.jpg#1\nnobody.jpg\n")
    assert run("drop", path, "--exclude", tmp_path / "l.txt", "--output", tmp_path / "g.h5") == 0
    assert seeds_of(tmp_path / "g.h5") == [1, 3, 5]
    assert "--exclude: 2 of 4 names match nothing: nobody.jpg, p/5.jpg#1" in capsys.readouterr().err
    assert run("select", path, "--exclude", tmp_path / "l.txt", "--output", tmp_path / "h.h5") == 0
    assert seeds_of(tmp_path / "h.h5") == [1, 3, 5]


def test_sort_by_any_column_both_ways(tmp_path, noise_image, run, refusal, capsys):
    path = make(tmp_path / "f.h5", [5, 1, 4], noise_image)
    assert run("sort", path, "--by", "scale", "--output", tmp_path / "g.h5") == 0
    assert seeds_of(tmp_path / "g.h5") == [5, 4, 1]
    assert run("verify", tmp_path / "g.h5") == 0, "its order is no fault"
    assert run("sort", path, "--by", "source", "--ascending", "--output", tmp_path / "h.h5") == 0
    assert seeds_of(tmp_path / "h.h5") == [1, 4, 5]
    message = refusal(capsys, "sort", path, "--by", "looks", "--output", tmp_path / "i.h5")
    assert message.startswith("--by: got looks, expected one of 5 o'clock, face_index")


def test_merge_takes_the_best_first_and_what_both_have_once(tmp_path, noise_image, run, capsys):
    one, other = make(tmp_path / "a.h5", [1, 3, 5], noise_image), make(tmp_path / "b.h5", [2, 3, 4], noise_image)
    assert run("merge", one, other, "--output", tmp_path / "g.h5") == 0
    assert seeds_of(tmp_path / "g.h5") == [1, 2, 3, 4, 5]
    assert "5 rows of 2 files; 1 that several have are taken once" in capsys.readouterr().out
    assert run("verify", tmp_path / "g.h5") == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"config": {"geometry": "ffhq"}}, "got geometry ffhq, expected paper, as"),
        ({"config": {"restore": "full"}}, "got restore full, expected off, as"),
        ({"side": 32}, "got resolution 32, expected 16, as"),
        ({"gray": True}, "got channels 1, expected 3, as"),
        ({"masks": False}, "got masks False, expected True, as"),
        ({"names": ("smiling", "hat")}, "got names of labels ('smiling', 'hat'), expected"),
    ],
    ids=str,
)
def test_files_that_are_not_one_dataset_are_not_merged(tmp_path, noise_image, refusal, capsys, more, message):
    one, other = make(tmp_path / "a.h5", [1], noise_image), make(tmp_path / "b.h5", [2], noise_image, **more)
    assert message in refusal(capsys, "merge", one, other, "--output", tmp_path / "g.h5")
    assert not (tmp_path / "g.h5").exists()


def test_photos_of_one_name_are_told_apart_by_their_folders(tmp_path, noise_image, run, refusal, capsys):
    one, other = make(tmp_path / "a.h5", [1, 2], noise_image), make(tmp_path / "b.h5", [2, 7], noise_image)
    with h5py.File(other, "r+") as file:
        file["faces/source_sha256"][0] = b"f" * 64
    message = refusal(capsys, "merge", one, other, "--output", tmp_path / "g.h5")
    assert "got another photo p/2.jpg#0 than in a file before it, expected different names; --folders" in message
    assert run("merge", one, other, "--folders", "--output", tmp_path / "g.h5") == 0
    with open_dataset(tmp_path / "g.h5") as dataset:
        assert dataset.faces["source"].tolist() == ["a/p/1.jpg", "a/p/2.jpg", "b/p/2.jpg", "b/p/7.jpg"]


def test_columns_that_one_file_lacks_are_left_out_and_told(tmp_path, noise_image, run, capsys):
    one, other = make(tmp_path / "a.h5", [1], noise_image), make(tmp_path / "b.h5", [2], noise_image, padding=None)
    assert run("merge", one, other, "--output", tmp_path / "g.h5") == 0
    assert "columns that not all of them have are left out: padding" in capsys.readouterr().err
    assert seeds_of(tmp_path / "g.h5") == [1, 2]


def test_rows_go_along_and_a_build_takes_back_what_was_left_out(sequence, run, looked_at):
    sequence.set(keep=20)
    build(sequence.config)
    output, chosen = sequence.config.output, sequence.folder / "g.h5"
    before = rows_of(output)
    kept = {name for name, row in before.items() if row["status"] == "kept"}
    assert run("select", output, "--output", chosen, "--top", "2") == 0
    rows = rows_of(chosen)
    assert rows.keys() == before.keys() and sorted(row["row"] for row in rows.values())[-2:] == [0, 1]
    left = {name for name, row in rows.items() if row["reason"] == "left out by celebahq-data select"}
    assert len(left) == len(kept) - 2 and all(rows[name]["score"] == before[name]["score"] for name in left)
    assert run("verify", chosen) == 0 and (sequence.folder / "g.h5.rows.csv").exists()
    sequence.set(output=chosen)
    sequence.rebuild(looked_at)
    assert {name for name, row in rows_of(chosen).items() if row["status"] == "kept"} == kept


def test_merged_rows_point_to_their_faces(sequence, run, noise_image):
    sequence.set(keep=3)
    build(sequence.config)
    one, other, both = sequence.config.output, sequence.folder / "h.h5", sequence.folder / "both.h5"
    for _ in range(4):
        sequence.add()
    sequence.set(output=other, keep=5)
    build(sequence.config)
    assert run("merge", one, other, "--output", both) == 0
    assert run("verify", both) == 0
    kept = [row for row in rows_of(both).values() if row["status"] == "kept"]
    with open_dataset(both) as dataset:
        assert len(kept) == len(dataset) == 5
    assert run("merge", one, other, "--folders", "--output", sequence.folder / "f2.h5") == 0
    assert run("verify", sequence.folder / "f2.h5") == 0
    rows = rows_of(sequence.folder / "f2.h5")
    duplicates = {name: row for name, row in rows.items() if row["reason"] == "duplicate" and row["score"] is not None}
    assert sum(row["duplicate_of"].startswith("f/") for name, row in duplicates.items() if name.startswith("h/")) >= 2
    assert all(rows[row["duplicate_of"]]["status"] == "kept" for row in duplicates.values())


def test_a_build_does_not_take_a_merge_of_unlike_files_for_its_own(sequence, run):
    build(sequence.config)
    one, other, both = sequence.config.output, sequence.folder / "h.h5", sequence.folder / "both.h5"
    sequence.set(output=other, faces="all")
    build(sequence.config)
    assert run("merge", one, other, "--output", both) == 0
    sequence.add()
    sequence.set(output=both, faces="largest")
    with pytest.raises(BuildError, match="--faces: "):
        build(sequence.config)


def rows_of(path):
    return {f"{row['source']}#{row['face_index']}": row for row in read_rows(path).as_dicts()}


def test_persons_are_told_apart_by_the_file_or_by_their_descriptors(tmp_path, noise_image, run, monkeypatch):
    from celebahq_builder.commands import identities

    path = make(tmp_path / "f.h5", range(1, 7), noise_image)
    places = {seed: np.eye(128, dtype=np.float32)[seed % 2] * (1 + seed / 100) for seed in range(1, 7)}
    calls = iter(range(1, 7))
    monkeypatch.setattr(identities, "descriptor", lambda face: places[next(calls)])
    assert run("select", path, "--per-identity", "2", "--output", tmp_path / "g.h5") == 0
    assert seeds_of(tmp_path / "g.h5") == [1, 2, 3, 4]
    known = make(tmp_path / "k.h5", range(1, 7), noise_image, identity=7)
    assert run("select", known, "--per-identity", "1", "--output", tmp_path / "h.h5") == 0
    assert seeds_of(tmp_path / "h.h5") == [1]


def test_descriptors_of_one_person_lie_close(real_data):
    import csv
    import io
    import zipfile

    from PIL import Image

    from celebahq_builder.commands.identities import descriptor

    by_person = {}
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive:
        names = {name.rsplit("/", 1)[-1].split(".")[0]: name for name in archive.namelist()}
        with (real_data / "celeba128.csv").open() as file:
            for row in csv.DictReader(file):
                stem = next(iter(row.values())).split(".")[0]
                person = next(value for key, value in row.items() if "ident" in key)
                if stem in names and len(by_person.setdefault(person, [])) < 2:
                    by_person[person].append(names[stem])
        pairs = [files for files in by_person.values() if len(files) == 2][:5]
        assert len(pairs) == 5

        def of(name):
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((256, 256))
            return descriptor(np.asarray(image).transpose(2, 0, 1))

        points = [[of(name) for name in files] for files in pairs]
    same = [np.linalg.norm(a - b) for a, b in points]
    others = [np.linalg.norm(points[i][0] - points[j][0]) for i in range(5) for j in range(i)]
    assert np.median(same) < 0.5 < np.median(others)
