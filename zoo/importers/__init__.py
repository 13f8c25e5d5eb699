"""Import ProGANs that other programs trained: the layout is recognised by content, and nothing in a file is run."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from celebahq.files import sha256_of
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
    training_checkpoint,
)
from zoo.importers.content import CheckpointImportError, describe
from zoo.importers.conversion import NETWORKS, Conversion, build, joint_config
from zoo.importers.imported import Imported
from zoo.importers.other_families import family_of
from zoo.importers.read_file import read_file
from zoo.progan import Discriminator, Generator

LAYOUTS: tuple[ModuleType, ...] = (
    tkarras, tkarras_theano, gan_zoo, genforce, huggan, interfacegan, mmgen, gandissect, ptrblck,
    akanimax_v3, akanimax_v2, training_checkpoint,
)  # fmt: skip
"""One file a layout. Each has NAME; recognises(content) -> bool, which never raises whatever the content;
networks(content) -> the networks in it, of "generator" and "discriminator"; and
convert(content, network) -> Conversion, which raises CheckpointImportError for what it cannot reproduce. Where a
generator without its discriminator does not tell a label from z: LABEL_NORM, the latent_norm of one with labels, and
OLDER_NORMS, notes on that."""


def import_checkpoint(
    path: str | Path, network: str = "generator", label_size: int | None = None
) -> Generator | Discriminator:
    """Return a network of a file that another program wrote, ready to generate or score as that program would.

    Args:
        path: the file; its name and ending do not matter.
        network: "generator" (the moving average where the file has one) or "discriminator".
        label_size: components of the label that joins z, for a file that cannot tell (a generator alone: genforce,
            huggan, mmgen); None is what the file says, and none where it does not.

    Returns:
        The network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        CheckpointImportError: the file cannot be imported, or says another label_size; one line that lists what was
            seen. Nothing in it has been run.
        ValueError: network is another word, or label_size no whole number from 0.
    """
    if network not in NETWORKS:
        raise ValueError(f"network: got {network!r}, expected 'generator' or 'discriminator'")
    check_label_size(label_size)
    path = Path(path)
    content = read_file(path)
    layout = recognise(path, content)
    return build_from(path, layout, content, network, label_size)[1]


def import_networks(path: str | Path, label_size: int | None = None) -> Imported:
    """Return the networks of a foreign file, generator and discriminator, with their provenance.

    Args:
        label_size: as of import_checkpoint.

    Raises:
        CheckpointImportError, ValueError: as import_checkpoint.
    """
    check_label_size(label_size)
    path = Path(path)
    content = read_file(path)
    layout = recognise(path, content)
    found = {name: build_from(path, layout, content, name, label_size) for name in layout.networks(content)}
    notes: list[str] = [note for conversion, _ in found.values() for note in conversion.notes]
    if len(found) == 2:
        try:
            config = joint_config(found["generator"][0].config, found["discriminator"][0].config)
        except CheckpointImportError as error:
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
        CheckpointImportError: none fits; it lists what was seen.
    """
    for layout in LAYOUTS:
        if layout.recognises(content):
            return layout
    if family := family_of(content):
        raise CheckpointImportError(f"{path}: got {family}, expected a ProGAN; its own program loads it")
    names = ", ".join(layout.NAME for layout in LAYOUTS)
    raise CheckpointImportError(
        f"{path}: got a layout that is not known, {describe(content)}; expected one of: {names}"
    )


def check_label_size(label_size: int | None) -> None:
    """Raise ValueError unless label_size is None or an integer from 0."""
    if label_size is not None and (type(label_size) is not int or label_size < 0):
        raise ValueError(f"label_size: got {label_size!r}, expected an integer from 0")


def with_labels(conversion: Conversion, layout: ModuleType, content: Any, label_size: int | None) -> Conversion:
    """Return a conversion with the label_size that a user knows; where neither the file nor the user says, say so.

    Raises:
        CheckpointImportError: the file says another one, or its layer takes no more numbers than the label has.
    """
    config, tells = conversion.config, "discriminator" in layout.networks(content)
    norm = getattr(layout, "LABEL_NORM", None)
    if tells or norm is None or config.label_size:
        if label_size not in (None, config.label_size):
            raise CheckpointImportError(f"label_size: got {label_size}, expected {config.label_size} as the file says")
        return conversion
    if label_size is None:
        told = "a label cannot be told from z without the discriminator: read as unconditional (--label-size says else)"
        return replace(conversion, notes=(*conversion.notes, told))
    if not label_size:
        return conversion
    if label_size >= config.latent_size:
        raise CheckpointImportError(
            f"label_size: got {label_size}, expected fewer than the {config.latent_size} numbers of its first layer"
        )
    labelled = replace(config, label_size=label_size, latent_size=config.latent_size - label_size, latent_norm=norm)
    notes = (*conversion.notes, f"label of {label_size}, as was said on import", *getattr(layout, "OLDER_NORMS", ()))
    return replace(conversion, config=labelled, notes=notes)


def build_from(
    path: Path, layout: ModuleType, content: Any, network: str, label_size: int | None = None
) -> tuple[Conversion, Any]:
    """Return a layout's conversion and our network of it; failures name the file."""
    if network not in layout.networks(content):
        raise CheckpointImportError(f"{path}: no {network} in this {layout.NAME} file, {describe(content)}")
    try:
        conversion = with_labels(layout.convert(content, network), layout, content, label_size)
        return conversion, build(conversion, network)
    except CheckpointImportError as error:
        raise CheckpointImportError(f"{path}: {layout.NAME} {network}: {error}") from None
    except (
        KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError,
    ) as error:  # fmt: skip
        # a file that looked like the layout but holds other things where its layers should be
        raise CheckpointImportError(
            f"{path}: {layout.NAME} {network} that is not whole ({type(error).__name__}: {error}); {describe(content)}"
        ) from None
