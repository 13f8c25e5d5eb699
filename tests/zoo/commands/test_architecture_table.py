"""The tables of zoo show are the paper's Table 2."""

import pytest

from zoo.commands.architecture_table import discriminator_table, generator_table, short
from zoo.progan import ProGANConfig

GENERATOR = """
Conv 4x4 LReLU 512 4 4.2M
Conv 3x3 LReLU 512 4 2.4M
Upsample - 512 8 -
Conv 3x3 LReLU 512 8 2.4M
Conv 3x3 LReLU 512 8 2.4M
Upsample - 512 16 -
Conv 3x3 LReLU 512 16 2.4M
Conv 3x3 LReLU 512 16 2.4M
Upsample - 512 32 -
Conv 3x3 LReLU 512 32 2.4M
Conv 3x3 LReLU 512 32 2.4M
Upsample - 512 64 -
Conv 3x3 LReLU 256 64 1.2M
Conv 3x3 LReLU 256 64 590k
Upsample - 256 128 -
Conv 3x3 LReLU 128 128 295k
Conv 3x3 LReLU 128 128 148k
Upsample - 128 256 -
Conv 3x3 LReLU 64 256 74k
Conv 3x3 LReLU 64 256 37k
Upsample - 64 512 -
Conv 3x3 LReLU 32 512 18k
Conv 3x3 LReLU 32 512 9.2k
Upsample - 32 1024 -
Conv 3x3 LReLU 16 1024 4.6k
Conv 3x3 LReLU 16 1024 2.3k
Conv 1x1 linear 3 1024 51
"""
"""As printed, after the latent vector."""
LAST_OF_DISCRIMINATOR = """
Downsample - 512 4 -
Minibatch stddev - 513 4 -
Conv 3x3 LReLU 512 4 2.4M
Conv 4x4 LReLU 512 1 4.2M
Fully-connected linear 1 1 513
"""


def printed(rows) -> list[str]:
    return [f"{row.layer} {row.activation} {row.shape[0]} {row.shape[1]} {short(row.parameters)}" for row in rows]


def test_generator_is_table_2():
    rows = generator_table(ProGANConfig())
    assert printed(rows)[0] == "Latent vector - 512 1 -"
    assert printed(rows)[1:] == GENERATOR.strip().splitlines()
    assert short(sum(row.parameters for row in rows)) == "23.1M"


def test_discriminator_is_table_2():
    rows = discriminator_table(ProGANConfig())
    assert printed(rows)[:3] == ["Input image - 3 1024 -", "Conv 1x1 LReLU 16 1024 64", "Conv 3x3 LReLU 16 1024 2.3k"]
    assert printed(rows)[-5:] == LAST_OF_DISCRIMINATOR.strip().splitlines()
    assert short(sum(row.parameters for row in rows)) == "23.1M"


@pytest.mark.parametrize("field", ["generator_leak", "discriminator_leak"])
def test_relu_is_called_relu(field):
    config = ProGANConfig(resolution=8, **{field: 0.0})
    table = generator_table(config) if field == "generator_leak" else discriminator_table(config)
    assert {row.activation for row in table} == {"-", "ReLU", "linear"}
