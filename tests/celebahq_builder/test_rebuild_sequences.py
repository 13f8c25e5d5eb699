"""Real photographs and dlib: builds that change and are killed end as one from scratch; the comparison would notice."""

import argparse
import importlib.util
from pathlib import Path

import h5py
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "rebuild_sequences.py"
OPTIONS = argparse.Namespace(steps=4, photos=8, resolution=32, seconds=6.0, keep=None, verbose=False)


@pytest.fixture
def sequences():
    spec = importlib.util.spec_from_file_location("rebuild_sequences", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("seed", [101, 102])
def test_killed_builds_of_real_photographs_that_change_equal_one_from_scratch(sequences, real_data, seed, capsys):
    unequal, kills = sequences.run_sequence(sequences.small_photographs(real_data / "in_the_wild"), seed, OPTIONS)
    assert unequal == [], capsys.readouterr().out
    assert kills > 0


def test_the_comparison_sees_a_level_an_attribute_a_table_and_the_page(sequences, tmp_path):
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        with h5py.File(folder / "f.h5", "w") as file:
            file["rows/score"] = [1.0, 2.0 + (name == "other")]
            file["data1x1"] = [1]
            file.attrs["config"] = name
        (folder / "f.h5.rows.csv").write_text(name)
        line = f"<pre>{folder / 'f.h5'} <span>--workers</span> {len(name)}"
        (folder / "report.html").write_text(f"the same\n{line}\n{name}\n")
    one, other = (sequences.contents(tmp_path / name / "f.h5") for name in ("one", "other"))
    unequal = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert unequal == {"f.h5: rows/score", "f.h5: attribute config", "f.h5.rows.csv", "report.html: line 2"}
