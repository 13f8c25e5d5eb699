"""What goes into the networks, latents and labels checked and joined, wrong ones refused; and what scores come out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from celebahq.errors import CelebAHQError
from zoo.architecture import ProGANConfig
from zoo.layers import pixel_norm


class InputError(CelebAHQError, ValueError):
    """A latent, label, resolution or image that a network does not take; one line that says what it takes."""


class Scores(NamedTuple):
    """What a discriminator says of images."""

    scores: Tensor
    """(sets * N,) float32, high for real, no sigmoid."""
    label_logits: Tensor | None
    """(sets * N, label_size) float32; None where the network has no labels."""


def concat_label(config: ProGANConfig, z: Tensor, label: Tensor | Sequence[int] | int | None) -> Tensor:
    """Return the normalized input of the first layer.

    Args:
        config: of the generator.
        z: (N, latent_size) float.
        label: (N, label_size) float, or N classes as whole numbers, or one for all; None of an unconditional generator.

    Returns:
        (N, latent_size + label_size) float.

    Raises:
        InputError: z or label is of another shape, a class is not there, or a label is missing or too much.
    """
    if not isinstance(z, Tensor) or z.ndim != 2 or z.shape[1] != config.latent_size:
        raise InputError(f"z: got {_shape(z)}, expected (N, {config.latent_size})")
    label = None if label is None and not config.label_size else as_label(config, z, label)
    how = config.latent_normalization
    if how in ("z", "twice", "both") or (how == "joined" and label is None):
        z = _normalized(config, z)
    if how == "both":
        z = z * config.latent_size**0.5
    joined = z if label is None else torch.cat([z, label], dim=1)
    again = how in ("twice", "both") or (how == "joined" and label is not None)
    return _normalized(config, joined) if again else joined


def as_label(config: ProGANConfig, z: Tensor, label: Tensor | Sequence[int] | int | None) -> Tensor:
    """Return a label as vectors (N, label_size) of z's dtype and device; classes become one-hot.

    Raises:
        InputError: as concat_label.
    """
    size = config.label_size
    wanted = f"(N, {size}), or classes from 0 to {size - 1}" if size else "none: the network is unconditional"
    if label is None or not size:
        raise InputError(f"label: got {_shape(label)}, expected {wanted}")
    if not isinstance(label, Tensor):
        try:
            label = torch.as_tensor(label, device=z.device)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"label: got {label!r:.80}, expected {wanted}") from None
    if label.ndim <= 1 and not label.is_floating_point() and label.dtype != torch.bool:
        classes = label.to(z.device, torch.int64).expand(len(z)) if label.ndim == 0 else label.to(z.device, torch.int64)
        if classes.numel() and not 0 <= int(classes.min()) <= int(classes.max()) < size:
            raise InputError(f"label: got classes from {int(classes.min())} to {int(classes.max())}, expected {wanted}")
        label = torch.nn.functional.one_hot(classes, size)
    # which batch belongs to a symbol while a graph is traced: there the runtime compares
    alike = torch.compiler.is_compiling() or label.shape[:1] == z.shape[:1]
    if label.ndim != 2 or label.shape[1] != size or not alike:
        raise InputError(f"label: got {_shape(label)} for z {_shape(z)}, expected {wanted}")
    return label.to(z.dtype)


def check_resolution(config: ProGANConfig, resolution: int | None) -> int:
    """Return the resolution to stop at, the network's own for None.

    Raises:
        InputError: the network has no such resolution.
    """
    if resolution is None:
        return config.resolution
    if resolution not in config.resolutions:
        sides = ", ".join(map(str, config.resolutions))
        raise InputError(f"resolution: got {resolution!r}, expected one of {sides}")
    return int(resolution)


def check_images(config: ProGANConfig, images: Tensor) -> None:
    """Raise InputError where images are not (N, channels, R, R) at a resolution of the network."""
    shape, sides = tuple(images.shape), config.resolutions
    if len(shape) != 4 or shape[1] != config.image_channels or shape[2] != shape[3] or shape[3] not in sides:
        wanted = f"(N, {config.image_channels}, R, R) with R one of {', '.join(map(str, sides))}"
        raise InputError(f"images: got {shape}, expected {wanted}")


def _normalized(config: ProGANConfig, z: Tensor) -> Tensor:
    """Return latents (N, ...) at unit mean square."""
    return pixel_norm(z, config.latent_epsilon, config.epsilon_outside_root)


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else "none" if value is None else type(value).__name__
