"""What a network takes, and what is said of what it does not take."""

import numpy as np
import pytest
import torch

from celebahq.errors import CelebAHQError
from zoo.network_inputs import InputError, as_label, concat_label
from zoo.progan import Discriminator, Generator, ProGANConfig

PLAIN = ProGANConfig(resolution=16, latent_size=8, fmap_base=32, fmap_max=8)
LABELLED = ProGANConfig(resolution=16, latent_size=8, fmap_base=32, fmap_max=8, label_size=3)


@pytest.mark.parametrize(
    "label",
    [[0, 2], (0, 2), torch.tensor([0, 2]), torch.tensor([0, 2], dtype=torch.uint8), np.array([0, 2]),
     torch.tensor([[1, 0, 0], [0, 0, 1]]), [[1.0, 0, 0], [0, 0, 1.0]]],
)  # fmt: skip
def test_classes_as_whole_numbers_generate_what_their_vectors_generate(label):
    generator, z = Generator(LABELLED).eval(), torch.randn(2, 8)
    assert torch.equal(generator(z, label), generator(z, torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])))


@pytest.mark.parametrize("label", [1, np.int64(1), torch.tensor(1)])
def test_one_class_is_that_of_all(label):
    generator, z = Generator(LABELLED).eval(), torch.randn(2, 8)
    assert torch.equal(generator(z, label), generator(z, torch.tensor([[0.0, 1, 0]] * 2)))


@pytest.mark.parametrize(
    ("config", "z", "label", "said"),
    [
        (PLAIN, torch.zeros(2, 512), None, r"z: got \(2, 512\), expected \(N, 8\)"),
        (PLAIN, torch.zeros(8), None, r"z: got \(8,\), expected \(N, 8\)"),
        (PLAIN, np.zeros((2, 8)), None, r"z: got ndarray, expected \(N, 8\)"),
        (PLAIN, torch.zeros(2, 8), 0, r"label: got int, expected none: the network is unconditional"),
        (LABELLED, torch.zeros(2, 8), None, r"label: got none, expected \(N, 3\), or classes from 0 to 2"),
        (LABELLED, torch.zeros(2, 8), 3, "label: got classes from 3 to 3, expected"),
        (LABELLED, torch.zeros(2, 8), [0, -1], "label: got classes from -1 to 0, expected"),
        (LABELLED, torch.zeros(2, 8), [0, 1, 2], r"label: got \(3, 3\) for z \(2, 8\), expected \(N, 3\)"),
        (LABELLED, torch.zeros(2, 8), 0.5, r"label: got \(\) for z \(2, 8\)"),
        (LABELLED, torch.zeros(2, 8), "Smiling", "label: got 'Smiling', expected"),
        (LABELLED, torch.zeros(2, 8), torch.zeros(2, 4), r"label: got \(2, 4\) for z \(2, 8\), expected \(N, 3\)"),
        (LABELLED, torch.zeros(2, 8), torch.zeros(1, 3), r"label: got \(1, 3\) for z \(2, 8\), expected \(N, 3\)"),
    ],
)
def test_a_wrong_latent_or_label_is_told_what_was_expected(config, z, label, said):
    with pytest.raises(InputError, match=said) as refusal:
        Generator(config)(z, label)
    assert isinstance(refusal.value, CelebAHQError) and isinstance(refusal.value, ValueError)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("resolution", [0, 2, 6, 32, 16.5, "16"])
def test_a_resolution_that_the_network_has_not_is_told_which_it_has(resolution):
    with pytest.raises(InputError, match=r"resolution: got .*, expected one of 4, 8, 16"):
        Generator(PLAIN)(torch.zeros(2, 8), resolution=resolution)


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 3, 16, 8), (2, 3, 32, 32), (3, 16, 16), (2, 16, 16, 3)])
def test_images_of_another_shape_are_told_which_was_expected(shape):
    with pytest.raises(InputError, match=r"images: got \(.*\), expected \(N, 3, R, R\) with R one of 4, 8, 16"):
        Discriminator(PLAIN)(torch.zeros(shape))


def test_a_label_takes_the_latents_dtype():
    z = torch.zeros(2, 8, dtype=torch.float64)
    assert as_label(LABELLED, z, [0, 1]).dtype == torch.float64
    assert concat_label(LABELLED, z, 1).shape == (2, 11)


def test_a_compiled_graph_keeps_its_batch_free_with_a_label():
    batch = torch.export.Dim("batch", min=2)
    inputs = torch.zeros(2, 8), torch.zeros(2, 3)
    program = torch.export.export(Generator(LABELLED), inputs, dynamic_shapes=({0: batch}, {0: batch}))
    assert program.module()(torch.zeros(5, 8), torch.zeros(5, 3)).shape == (5, 3, 16, 16)
