"""torch.hub: the entry points give what zoo.load gives, with their dependencies declared."""

from pathlib import Path

import pytest
import torch

from zoo import weights
from zoo.progan import Discriminator, Generator, ProGANConfig

ROOT = Path(__file__).resolve().parent.parent
TINY = ProGANConfig(resolution=8, latent_size=4, fmap_base=16, fmap_max=4)


def hub(entry_point, *arguments):
    return torch.hub.load(str(ROOT), entry_point, *arguments, source="local")


def test_generator_and_discriminator_come_from_one_folder(tmp_path):
    generator, discriminator = Generator(TINY), Discriminator(TINY)
    for network in (generator, discriminator):
        weights.save(network, tmp_path)
    images = hub("generator", str(tmp_path))(torch.ones(2, 4))
    torch.testing.assert_close(images, generator(torch.ones(2, 4)))
    torch.testing.assert_close(hub("discriminator", str(tmp_path))(images), discriminator(images))


def test_a_wrong_name_is_said():
    with pytest.raises(ValueError, match="did you mean celebahq-1024"):
        hub("generator", "celebahq1024")
