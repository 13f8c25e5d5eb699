"""Files of other families than ProGAN, named as what they are: StyleGAN 1 to 3, R3GAN. Only looks at words."""

import pickletools
import re
from typing import Any

from zoo.importers.content import Record
from zoo.importers.state import named_tensors

FAMILIES = (
    ("R3GAN", re.compile(r"\bR3GAN\b")),
    ("StyleGAN3", re.compile(r"\bfiltered_lrelu\b|\bclass SynthesisInput\b")),
    ("StyleGAN2 (TensorFlow)", re.compile(r"\bmodulated_conv2d_layer\b")),
    ("StyleGAN2-ADA or a program built on it", re.compile(r"\bmodulated_conv2d\b|\bclass MappingNetwork\b")),
    ("StyleGAN (2019, TensorFlow)", re.compile(r"\bG_style\b|\bG_mapping\b|\bD_basic\b")),
    ("a network of NVIDIA's later programs", re.compile(r"\btorch_utils\.persistence\b")),
)
"""Family -> words of its pickles, which hold the source text of their networks or name its modules; the first that fits
counts."""

TENSORS = (
    ("StyleGAN3", re.compile(r"synthesis\.input\.freqs$")),
    ("StyleGAN or StyleGAN2", re.compile(r"(?:synthesis|mapping)\.")),
    ("StyleGAN2 (rosinality's port)", re.compile(r".*\bconv\.modulation\.weight$")),
    ("R3GAN", re.compile(r"(?:Model\.)?MainLayers\.")),
)
"""Family -> names that its state dicts have."""


def family_of_pickle(data: bytes) -> str | None:
    """Return the family of a pickle of whole networks, None where nothing in it says one.

    Args:
        data: the pickle, of which only the words are looked at; damaged or cut short, those before.
    """
    words: list[str] = []
    try:
        for _, argument, _ in pickletools.genops(data):
            if isinstance(argument, str):
                words.append(argument)
    except ValueError:
        pass
    return _family("\n".join(words))


def family_of(content: Any) -> str | None:
    """Return the family of content that is of a known one other than ProGAN; whatever it is, without raising."""
    for part in content if isinstance(content, list | tuple) else [content]:
        if isinstance(part, Record):
            words = [value for value in part.fields.values() if isinstance(value, str)]
            if family := _family("\n".join(words)):
                return family
    tables = [content, *content.values()] if isinstance(content, dict) else []
    for names in map(named_tensors, tables):
        for family, pattern in TENSORS:
            if any(map(pattern.match, names)):
                return f"tensors of {family}"
    return None


def _family(text: str) -> str | None:
    return next((family for family, pattern in FAMILIES if pattern.search(text)), None)
