"""torch.hub entry points: any model of the zoo in one line, as zoo.load gives it.

    generator = torch.hub.load("OWNER/REPOSITORY", "generator", "celebahq-1024")
    images = generator(torch.randn(4, generator.config.latent_size))  # (4, 3, 1024, 1024), nominally in [-1, 1]

`python -m zoo list` has the names; each model's license is stated at its first download.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.progan import Discriminator, Generator

dependencies = ["torch", "numpy", "safetensors", "huggingface_hub", "httpx2", "filelock", "PIL"]


def generator(model: str, revision: str | None = None) -> "Generator":
    """Return a generator in float32 on the CPU, in evaluation mode.

    Args:
        model: name of the catalogue, model folder, run folder or Hugging Face id org/name[@revision].
        revision: branch, tag or commit of a Hugging Face id.
    """
    import zoo

    return zoo.load(model, revision)


def discriminator(model: str, revision: str | None = None) -> "Discriminator":
    """Return the discriminator of a model, where it has one; arguments as of generator."""
    import zoo
    from zoo import weights

    return weights.load(zoo.model_folder(model, revision), "discriminator")
