"""Options given from Python are checked as on the command line, in every class of options of every package."""

import importlib
import re
import subprocess
import sys
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from celebahq.errors import CelebAHQError
from celebahq.options import OptionError, check_options

NETWORKS = {"ProGANConfig", "ArtifactRemoverConfig", "SuperResolverConfig"}
"""Architectures, which are read from files by checks of their own; no options."""


ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("celebahq_builder", "export", "train", "zoo")


def all_configs() -> list[type]:
    """Every dataclass of options: each *Config of every module of every package."""
    found = []
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for name in re.findall(r"@dataclass.*\nclass (\w+Config)\b", path.read_text(encoding="utf-8")):
            if name not in NETWORKS:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found.append(getattr(importlib.import_module(module), name))
    return found


CONFIGS = all_configs()
NAMES = [f"{cls.__module__}.{cls.__name__}" for cls in CONFIGS]


def example(hint: Any) -> Any:
    kind = get_args(hint)[0] if get_origin(hint) is Literal else hint
    if get_origin(hint) is Literal:
        return kind
    if get_origin(hint) is tuple:
        return (example(get_args(hint)[0]),)
    return {Path: Path("x"), str: "x", int: 1, float: 1.0}[hint]


def options_with(cls: type, **given: Any) -> Any:
    hints = get_type_hints(cls)
    needed = {field.name: example(hints[field.name]) for field in fields(cls) if field.default is MISSING}
    return cls(**(needed | given))


def test_the_walk_finds_the_options_of_every_command():
    names = {cls.__name__ for cls in CONFIGS}
    assert {"BuildConfig", "TrainConfig", "MetricsConfig", "RestorationConfig", "OnnxConfig", "PushConfig"} <= names
    assert len(CONFIGS) >= 32


@pytest.mark.parametrize("cls", CONFIGS, ids=NAMES)
def test_an_option_of_another_type_is_one_line_that_names_it(cls):
    for name in [field.name for field in fields(cls)]:
        with pytest.raises(CelebAHQError) as refusal:
            options_with(cls, **{name: b"\x1b[31m"})  # of no option's type
        message = str(refusal.value)
        assert re.match(f"(--)?{name.replace('_', '-')}: got .*31m'.*, expected ", message, re.IGNORECASE)
        assert message.isprintable()


@pytest.mark.parametrize("cls", CONFIGS, ids=NAMES)
def test_a_choice_that_is_none_is_refused_with_the_choices(cls):
    for name, hint in get_type_hints(cls).items():
        if get_origin(hint) is Literal:
            shown = name.replace("_", "-")
            with pytest.raises(CelebAHQError, match=f"{shown}: got 'no-such', expected .*{get_args(hint)[-1]}"):
                options_with(cls, **{name: "no-such"})


@dataclass(frozen=True)
class Some:
    path: Path = Path("a")
    paths: tuple[Path, ...] = ()
    words: tuple[str, ...] = ()
    table: tuple[tuple[int, float], ...] = ()
    labels: Literal["auto", "none"] | Path = "auto"
    size: int | None = None
    share: float = 0.5
    on: bool = False
    name: str | Path = "n"
    several: tuple[Literal["a", "b"], ...] = ("a",)

    def __post_init__(self) -> None:
        check_options(self)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("path", "b/c", Path("b/c")),
        ("paths", ["b", Path("c")], (Path("b"), Path("c"))),
        ("paths", "b", (Path("b"),)),
        ("words", "swd,msssim", ("swd,msssim",)),
        ("words", [Path("a/b"), "c"], ("a/b", "c")),
        ("table", [[32, 0.5], (64, 1)], ((32, 0.5), (64, 1))),
        ("labels", "none", "none"),
        ("labels", "list.csv", Path("list.csv")),
        ("size", np.int64(7), 7),
        ("size", None, None),
        ("share", np.float32(0.25), 0.25),
        ("share", 1, 1),
        ("name", "text", "text"),
        ("name", Path("p"), Path("p")),
        ("several", ["b", "a"], ("b", "a")),
    ],
)
def test_what_python_users_write_is_taken(name, given, kept):
    value = getattr(Some(**{name: given}), name)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("path", None, "--path: got None, expected a path"),
        ("size", True, "--size: got True, expected a whole number or None"),
        ("size", 2.0, "--size: got 2.0, expected a whole number or None"),
        ("size", "2", "--size: got '2', expected a whole number or None"),
        ("share", False, "--share: got False, expected a number"),
        ("on", 1, "--on: got 1, expected True or False"),
        ("words", (1,), "--words: got (1,), expected a list, each text"),
        ("words", None, "--words: got None, expected a list, each text"),
        ("table", ((32,),), "--table: got ((32,),), expected a list, each a tuple of a whole number and a number"),
        ("table", (32, 1), "--table: got (32, 1), expected a list, each a tuple of a whole number and a number"),
        ("labels", 3, "--labels: got 3, expected auto, none or a path"),
        ("several", ("a", "c"), "--several: got ('a', 'c'), expected a list, each a or b"),
    ],
)
def test_other_types_are_refused_in_words(name, given, message):
    with pytest.raises(OptionError) as refusal:
        Some(**{name: given})
    assert str(refusal.value) == message


def test_checking_loads_no_heavy_library():
    program = "import sys, celebahq.options; print(sorted({'numpy', 'tyro', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"
