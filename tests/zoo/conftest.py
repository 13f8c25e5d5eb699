"""What the tests of the networks share: the same random numbers for each, and biases that hide no mistake."""

import pytest
import torch


def with_random_biases(network):
    """A new network's biases are zero, and a zero hides mistakes."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return network


@pytest.fixture(name="with_random_biases", scope="session")
def with_random_biases_fixture():
    return with_random_biases


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
