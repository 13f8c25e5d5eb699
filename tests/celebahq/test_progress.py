"""The lines of progress where there is no terminal."""

from celebahq import progress as module
from celebahq.progress import PlainProgress, clock


def test_line_has_count_rate_and_time_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    bar = PlainProgress("photos", 100, "photos")
    now[0] = 4.0
    bar.advance()
    assert capsys.readouterr().err == ""  # a line every five seconds
    now[0] = 10.0
    bar.advance(19, "18 faces")
    assert capsys.readouterr().err == "photos: 20/100, 2.0 photos a second, 0:00:40 left; 18 faces\n"
    now[0] = 10.1
    bar.advance(80)
    assert capsys.readouterr().err.startswith("photos: 100/100")  # the last is always told


def test_bytes_are_megabytes_and_what_was_there_before_is_no_rate(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    bar = PlainProgress("model.onnx", None, "B")
    bar.update(50_000_000, 100_000_000)
    now[0] = 10.0
    bar.update(70_000_000)
    assert capsys.readouterr().err == "model.onnx: 70.0 MB/100.0 MB, 2.0 MB/s, 0:00:15 left\n"


def test_clock_counts_hours():
    assert clock(3725.4) == "1:02:05"
