"""The training film: which grid stands when, and what the file holds."""

import sys

import pytest
from PIL import Image

from train.config import TrainError
from train.film import CAPTION, FilmConfig, frames_of, make_film, seconds_of_grids
from train.report.run_log import read_run

av = pytest.importorskip("av")


def test_time_warp_gives_the_early_hours_more_of_the_film():
    moments = [10.0, 20.0, 30.0, 40.0]
    even = frames_of(moments, 401, 1.0)
    assert [even.count(i) for i in range(4)] == [200, 100, 100, 1]
    warped = frames_of(moments, 401, 1.5)
    # grid 1 stands from 20/40 of the time on: (s ** 1.5) = 1/2 at s = 0.63
    assert warped.index(1) == pytest.approx(0.5 ** (2 / 3) * 400, abs=1)
    assert (warped[0], warped[-1]) == (0, 3)


def test_grids_between_two_ticks_get_their_share_of_the_time(tmp_path, write_run):
    run = write_run(tmp_path / "a")
    (run / "fakes-000002.000.png").rename(run / "fakes-000002.500.png")
    assert seconds_of_grids(read_run(run)) == [10, 35, 50, 80, 180, 280]


def test_film_shows_the_grids_in_order_over_their_captions(tmp_path, write_run):
    run = write_run(tmp_path / "a")
    output, frames = make_film(FilmConfig(run=run, seconds=2, fps=10))
    with av.open(str(output)) as film:
        images = [frame.to_image() for frame in film.decode(video=0)]
    assert len(images) == frames == 20
    assert images[0].size == (32 * 60, 18 * 60 + CAPTION)  # the pixels are repeated up to the size of a screen
    levels = [image.getpixel((960, 500))[0] for image in images]
    assert levels == sorted(levels)
    assert levels[0] == pytest.approx(0, abs=6) and levels[-1] == pytest.approx(200, abs=6)
    captions = [image.crop((0, 1084, 600, 1112)).convert("L").getextrema() for image in images]
    assert all(high > 150 for _, high in captions)


def test_a_grid_larger_than_a_screen_is_reduced(tmp_path, write_run):
    run = write_run(tmp_path / "a")
    for path in run.glob("fakes-*.png"):
        Image.new("RGB", (3072, 2048), (90, 90, 90)).save(path)
    output, _ = make_film(FilmConfig(run=run, seconds=0.2, fps=10))
    with av.open(str(output)) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (1536, 1024 + CAPTION)


def test_what_makes_no_film_is_refused(tmp_path, write_run):
    run = write_run(tmp_path / "a")
    for options, message in (
        ({"time_warp": 0}, "--time-warp: got 0, expected more than 0"),
        ({"seconds": 0.01}, "expected 2 frames or more"),
        ({"output": tmp_path / "film.gif"}, r"--output: got .*film\.gif, expected the name of an \.mp4"),
    ):
        with pytest.raises(TrainError, match=message):
            make_film(FilmConfig(run=run, **options))
    (run / "fakes-000003.000.png").write_bytes(b"no image")
    with pytest.raises(TrainError, match=r"fakes-000003.000.png: got no image"):
        make_film(FilmConfig(run=run, seconds=1, fps=20))
    assert not (run / "training.mp4").exists() and not list(run.glob("*.partial"))
    for path in run.glob("fakes-*.png"):
        path.unlink()
    with pytest.raises(TrainError, match=r"got no fakes-\*\.png"):
        make_film(FilmConfig(run=run))


def test_missing_pyav_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(TrainError, match=r"^PyAV: not installed, expected it for films: pip install av"):
        make_film(FilmConfig(run=tmp_path))
