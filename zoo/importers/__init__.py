"""Import ProGANs that other programs trained: the layout is recognised by content, and nothing in a file is run."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from zoo.file_hash import sha256_of
from zoo.importers import (
    akanimax_v2,
    akanimax_v3,
    gan_zoo,
    gandissect,
    genforce,
    huggan,
    interfacegan,
    mmgen,
    ptrblck,
    tkarras,
    tkarras_theano,
)
from zoo.importers.content import ImportFailure, describe
from zoo.importers.conversion import NETWORKS, Conversion, build, joint_config
from zoo.importers.imported import Imported
from zoo.importers.read_file import read_file
from zoo.progan import Discriminator, Generator

LAYOUTS: tuple[ModuleType, ...] = (
    tkarras, tkarras_theano, gan_zoo, genforce, huggan, interfacegan, mmgen, gandissect, ptrblck,
    akanimax_v3, akanimax_v2,
)  # fmt: skip
"""One file a layout. Each has NAME; recognises(content) -> bool, which never raises whatever the content;
networks(content) -> the networks in it, of "generator" and "discriminator"; and
convert(content, network) -> Conversion, which raises ImportFailure for what it cannot reproduce."""


def import_checkpoint(path: str | Path, network: str = "generator") -> Generator | Discriminator:
    """Return a network of a file that another program wrote, ready to paint or score as that program would.

    Args:
        path: the file; its name and ending do not matter.
        network: "generator" (the moving average where the file has one) or "discriminator".

    Returns:
        The network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        ImportFailure: the file cannot be imported; one line that lists what was seen. Nothing in it has been run.
        ValueError: network is another word.
    """
    if network not in NETWORKS:
        raise ValueError(f"network: {network!r}, 'generator' or 'discriminator' is wanted")
    path = Path(path)
    content = read_file(path)
    layout = recognise(path, content)
    return build_from(path, layout, content, network)[1]


def import_networks(path: str | Path) -> Imported:
    """Return the networks of a foreign file, generator and discriminator, with their provenance.

    Raises:
        ImportFailure: as import_checkpoint.
    """
    path = Path(path)
    content = read_file(path)
    layout = recognise(path, content)
    found = {name: build_from(path, layout, content, name) for name in layout.networks(content)}
    notes: list[str] = [note for conversion, _ in found.values() for note in conversion.notes]
    if len(found) == 2:
        try:
            config = joint_config(found["generator"][0].config, found["discriminator"][0].config)
        except ImportFailure as error:
            notes.append(f"the discriminator is left out: {error}")
            del found["discriminator"]
        else:
            found = {
                name: (conversion, build(replace(conversion, config=config), name))
                for name, (conversion, _) in found.items()
            }
    return Imported(
        layout=layout.NAME,
        generator=found["generator"][1] if "generator" in found else None,
        discriminator=found["discriminator"][1] if "discriminator" in found else None,
        notes=tuple(dict.fromkeys(notes)),
        source=path.name,
        source_sha256=sha256_of(path),
    )


def recognise(path: Path, content: Any) -> ModuleType:
    """Return the layout of a file's content.

    Raises:
        ImportFailure: none fits; it lists what was seen.
    """
    for layout in LAYOUTS:
        if layout.recognises(content):
            return layout
    names = ", ".join(layout.NAME for layout in LAYOUTS)
    raise ImportFailure(f"{path}: a layout that is not known, {describe(content)}; wanted is one of: {names}")


def build_from(path: Path, layout: ModuleType, content: Any, network: str) -> tuple[Conversion, Any]:
    """Return a layout's conversion and our network of it; failures name the file."""
    if network not in layout.networks(content):
        raise ImportFailure(f"{path}: no {network} in this {layout.NAME} file, {describe(content)}")
    try:
        conversion = layout.convert(content, network)
        return conversion, build(conversion, network)
    except ImportFailure as error:
        raise ImportFailure(f"{path}: {layout.NAME} {network}: {error}") from None
    except (
        KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError,
    ) as error:  # fmt: skip
        # a file that looked like the layout but holds other things where its layers should be
        raise ImportFailure(
            f"{path}: {layout.NAME} {network} that is not whole ({type(error).__name__}: {error}); {describe(content)}"
        ) from None
