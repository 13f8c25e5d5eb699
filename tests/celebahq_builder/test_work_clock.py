"""A photo's time is what its process computes and waits for a disk or a network, not for a processor."""

import os
import subprocess
import sys
import time

import pytest

from celebahq_builder.work_clock import WorkClock

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@pytest.fixture
def process(tmp_path):
    """A process as Linux tells of it, by a clock that is set: `see(seconds computed, state, seconds passed)`."""
    (tmp_path / "7").mkdir()
    here = {"now": 1000.0, "computed": 0.0}

    def tell(state):
        fields = [
            state,
            *"1234567890",
            str(round(here["computed"] * 0.75 * TICKS)),
            str(round(here["computed"] * 0.25 * TICKS)),
        ]
        (tmp_path / "7" / "stat").write_text(f"7 (py) thon) {' '.join(fields)} 0 0 20\n")

    tell("S")
    clock = WorkClock(7, tmp_path, lambda: here["now"])

    def see(computed, state, passed):
        here["computed"] += computed
        here["now"] += passed
        tell(state)
        return clock.look()

    return clock, see


def test_seconds_of_a_busy_machine_are_those_of_an_idle_one(process):
    clock, see = process
    clock.start()
    for _ in range(100):  # one of ten that want the processor
        spent = see(0.2, "R", 2.0)
    assert spent == pytest.approx(20)


def test_waiting_for_a_disk_or_a_network_counts(process):
    clock, see = process
    clock.start()
    for state in "SDS":
        see(0.0, state, 0.5)
    assert see(0.4, "S", 0.3) == pytest.approx(1.9)  # never less than it computed


def test_time_before_the_start_in_a_pause_and_in_a_gap_does_not_count(process):
    clock, see = process
    assert see(3.0, "S", 3.0) == 0
    clock.start()
    assert see(0.0, "S", 1.0) == pytest.approx(1)
    clock.pause()
    assert see(2.0, "S", 2.0) == pytest.approx(1)
    clock.start()
    assert see(0.5, "S", 3600.0) == pytest.approx(1.5)  # who looks was stopped: a laptop that slept
    assert see(0.0, "S", 0.5) == pytest.approx(2.0)


def test_where_the_system_does_not_tell_the_clock_counts(tmp_path):
    now = iter((10.0, 11.5, 12.0))
    clock = WorkClock(7, tmp_path, lambda: next(now))
    clock.start()
    assert [clock.look(), clock.look()] == [1.5, 2.0]


@pytest.mark.skipif(sys.platform != "linux", reason="processor time is watched on Linux only")
def test_a_real_process_that_computes_is_counted_by_its_processor_time():
    code = "import time\nwhile time.process_time() < 0.6: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        clock = WorkClock(child.pid)
        clock.start()
        os.set_blocking(child.stdout.fileno(), False)
        while child.stdout.read() is None:
            time.sleep(0.02)
            clock.look()
        spent = clock.look()  # on a busy machine much of it since the last time
        child.stdin.write(b"\n")
    assert 0.5 < spent < 5
