"""Networks and weights: ProGAN defined once, saved as safetensors, loaded by path."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.progan import Generator


def model_folder(path: str | Path) -> Path:
    """Return the model folder that a path means: the folder itself, or model/ of a run folder.

    Raises:
        zoo.weights.ModelError: it is neither.
    """
    from zoo.weights import CONFIG_NAME, ModelError

    folder = Path(path)
    if not folder.exists():
        raise ModelError(f"{folder}: not there, a model folder or a run folder is wanted")
    if (folder / "model" / CONFIG_NAME).is_file():
        return folder / "model"
    if (folder / CONFIG_NAME).is_file() and not (folder / "checkpoints").is_dir():
        return folder
    if (folder / "checkpoints").is_dir():
        raise ModelError(
            f"{folder}: a run that has not published a model yet, let python -m train reach its first tick"
        )
    raise ModelError(f"{folder}: no {CONFIG_NAME} in it, a model folder or a run folder is wanted")


def load(path: str | Path) -> "Generator":
    """Load a generator: three lines from a folder to faces.

    Example:
        >>> import torch, zoo
        >>> generator = zoo.load("runs/00000-paper")  # doctest: +SKIP
        >>> images = generator(torch.randn(4, generator.config.latent_size))  # doctest: +SKIP

    Args:
        path: a model folder, or the run folder that holds one.

    Returns:
        The generator in float32 on the CPU, in evaluation mode.

    Raises:
        zoo.weights.ModelError: the folder or its files cannot be used; one line, with the remedy.
    """
    from zoo import weights

    return weights.load(model_folder(path))
