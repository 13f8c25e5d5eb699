"""Networks and weights: ProGAN defined once, saved as safetensors, loaded by path or by name, imported from others."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.progan import Discriminator, Generator


def model_folder(name_or_path: str | Path, revision: str | None = None) -> Path:
    """Return the model folder that a MODEL means; what is not on this machine is downloaded once. Imports no torch.

    Args:
        name_or_path: a model folder, the run folder that holds one, a name of the catalogue (`python -m zoo list`), or
            a Hugging Face id `org/name[@revision]`. A path that exists wins over a name.
        revision: branch, tag or commit of the Hugging Face id; not both here and after the @.

    Raises:
        zoo.folder.ModelError: there is no such model, or it cannot be had; one line, with the remedy.
    """
    from zoo.folder import ModelError
    from zoo.locate import locate

    try:
        return locate(name_or_path, revision)
    except OSError as error:  # folders that are closed to us, names that no file can have
        raise ModelError(
            f"{error.filename or name_or_path}: {error.strerror}, expected a model that can be read"
        ) from None


def import_checkpoint(
    path: str | Path, network: str = "generator", label_size: int | None = None
) -> "Generator | Discriminator":
    """Return a network of a file that another program wrote; its layout is recognised, and nothing in it is run.

    Args:
        path: the file: .pkl, .pth, .bin, or checkpoint-*.pt of python -m train; its name and ending do not matter.
        network: "generator" (the moving average where the file has one) or "discriminator".
        label_size: components of the label that joins z, where the file does not tell (a generator alone, of genforce,
            huggan or mmgen); None is what the file says.

    Returns:
        The network in float32 on the CPU, in evaluation mode, gradients off.

    Raises:
        zoo.importers.CheckpointImportError: the file cannot be imported, or says another label_size; one line that
            lists what was seen.
    """
    from zoo.importers import import_checkpoint

    return import_checkpoint(path, network, label_size)


def load(name_or_path: str | Path, revision: str | None = None) -> "Generator":
    """Load a generator: three lines from a name to faces.

    Example:
        >>> import torch, zoo
        >>> generator = zoo.load("runs/celebahq-paper")  # doctest: +SKIP
        >>> images = generator(torch.randn(4, generator.config.latent_size))  # doctest: +SKIP

    Args:
        name_or_path: as of model_folder.
        revision: as of model_folder.

    Returns:
        The generator in float32 on the CPU, in evaluation mode.

    Raises:
        zoo.folder.ModelError: the model or its files cannot be used; one line, with the remedy.
    """
    folder = model_folder(name_or_path, revision)  # before torch: a wrong name answers at once

    from zoo import weights

    return weights.load(folder)
