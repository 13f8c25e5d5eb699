"""One network of genforce's names alone in a file: Hugging Face's huggan/pggan-celebahq-1024, without a config."""

from typing import Any

from zoo.importers.conversion import Conversion
from zoo.importers.genforce import (
    LABEL_NORM,
    OLDER_NORMS,
    convert_discriminator,
    convert_generator,
    is_discriminator,
    is_generator,
)
from zoo.importers.state import named_tensors

__all__ = ["LABEL_NORM", "NAME", "OLDER_NORMS", "convert", "networks", "recognises"]

NAME = "huggan"


def recognises(content: Any) -> bool:
    """Tell whether the content is one network of genforce's names: whatever it is, without raising."""
    return bool(networks(content))


def networks(content: Any) -> list[str]:
    """Return which of "generator" and "discriminator" the content is."""
    tensors = named_tensors(content)
    return ["generator"] * is_generator(tensors) + ["discriminator"] * is_discriminator(tensors)


def convert(content: Any, network: str) -> Conversion:
    """Return the network in our names; sizes come from the shapes, and a label cannot be told from z.

    Raises:
        CheckpointImportError: tensors are missing, left over, or fit no such network.
    """
    tensors = named_tensors(content)
    if network == "generator":
        return convert_generator(tensors, labels=0)
    return convert_discriminator(tensors, fused=False, notes=("read as not fused, as the file cannot tell",))
