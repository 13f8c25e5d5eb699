"""The table of detectors: every choice of --detector has its entry, and what ships is there to be hashed."""

from typing import get_args

import pytest

from celebahq_builder.config import BuildConfig
from celebahq_builder.detectors import DETECTORS, FINDERS, Detector, shipped_networks, terms_of
from celebahq_builder.restore_settings import resolve_auto


def test_every_choice_of_the_command_line_has_an_entry_of_known_finders():
    assert set(DETECTORS) == set(get_args(Detector))
    assert {name for choice in DETECTORS.values() for name in choice.finders} == set(FINDERS)


@pytest.mark.parametrize(("detector", "ships"), [("auto", ["centerface"]), ("hog", []), ("centerface", ["centerface"])])
def test_a_build_records_the_networks_that_its_detector_ships_with(tmp_path, detector, ships):
    assert shipped_networks(detector) == ships and len(terms_of(detector)) == len(ships)
    _, weights = resolve_auto(BuildConfig(input=tmp_path, detector=detector, restore="off"))
    assert all(f'"{name}"' in weights for name in ships) and bool(weights) == bool(ships)


def test_a_detector_of_another_version_brings_no_terms():
    assert terms_of("of-tomorrow") == []
