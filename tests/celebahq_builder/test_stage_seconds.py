"""Seconds of stages add up by name, also of one that raises."""

import time

import pytest

from celebahq_builder.stage_seconds import StageSeconds


def test_seconds_of_a_stage_add_up_and_one_that_raises_counts():
    clock = StageSeconds()
    for _ in range(2):
        with clock.of("find"):
            time.sleep(0.02)
    with pytest.raises(KeyError), clock.of("align"):
        time.sleep(0.02)
        raise KeyError
    assert list(clock.seconds) == ["find", "align"]
    assert clock.seconds["find"] >= 0.04 and clock.seconds["align"] >= 0.02
