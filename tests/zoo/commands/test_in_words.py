"""What a model's files say is printed as words, whatever lies in them."""

import json
from pathlib import Path

import pytest

from zoo.commands.in_words import in_words
from zoo.commands.show import _training, folder_lines

SHIPPED = Path(__file__).resolve().parents[3] / "zoo" / "pretrained"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            {"kimg": 4.5, "ema": {"length": 0.06, "missed": None}, "mirror": True},
            "kimg 4.5, ema (length 0.06), mirror yes",
        ),
        ({"metrics": ["swd", "msssim"], "history": [], "seed": 0}, "metrics swd msssim, seed 0"),
        ([[4, 32], [8, 16]], "4 32 8 16"),
        ({"a": {"b": None, "c": []}, "d": [None, {}]}, "none"),
        ({"a": [None, 3]}, "a none 3"),
        ([], "none"),
        (None, "none"),
        (False, "no"),
        ("as it is", "as it is"),
    ],
)
def test_tables_lists_and_what_is_not_there_are_words(value, words):
    assert in_words(value) == words


def test_what_lies_deep_is_no_recursion_without_end():
    value = json.loads('{"a": ' * 900 + "1" + "}" * 900)
    assert in_words(value).endswith("a (...)" + ")" * 8)


@pytest.mark.parametrize("name", ["faces-64", "artifacts-full"])
def test_shipped_models_are_shown_without_python(name):
    """One has an average that was combined, the other was started from one that was started from one."""
    shown = "\n".join(folder_lines(SHIPPED / name))
    assert not [sign for sign in ("{", "}", "None", "True", "['") if sign in shown]
    assert "ema (length 0.06, checkpoints 44" in shown or "started_from (weights artifacts-full, net" in shown


def test_options_that_were_changed_are_told_in_words(tmp_path):
    history = [{"kimg": 2, "changed": {"metrics": [[], ["swd", "kid"]], "ema_kimg": [None, 4.0]}}]
    lines = _training({"kimg": 5, "mirror": False, "history": history})
    assert lines == [
        "  training: kimg 5, mirror no",
        "    changed at 2 kimg: metrics from none to swd kid, ema_kimg from none to 4.0",
    ]
