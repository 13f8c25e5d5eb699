"""The tables of zoo show are the paper's Table 2."""

import pytest

from zoo.commands.architecture_table import discriminator_table, generator_table, short
from zoo.progan import Discriminator, Generator, ProGANConfig

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


@pytest.mark.parametrize("field", ["generator_slope", "discriminator_slope"])
def test_relu_is_called_relu(field):
    config = ProGANConfig(resolution=8, **{field: 0.0})
    table = generator_table(config) if field == "generator_slope" else discriminator_table(config)
    assert {row.activation for row in table} == {"-", "ReLU", "linear"}


@pytest.mark.parametrize(
    ("fields", "norms"),
    [
        ({"generator_norm": "batch", "discriminator_norm": "layer", "minibatch_discrimination": 3}, 4),
        ({"variant": "mnist1k", "generator_norm": "batch", "discriminator_norm": "batch"}, 2),
        ({"variant": "mnist1k", "direct_input": 8}, 0),
    ],
)
def test_the_tables_of_an_ablation_count_every_parameter(fields, norms):
    config = ProGANConfig(resolution=8, latent_size=8, fmap_base=32, fmap_max=16, **fields)
    for table, network in ((generator_table, Generator), (discriminator_table, Discriminator)):
        rows, theirs = table(config), network(config)
        unused = theirs.to_rgb["4x4"] if network is Generator else theirs.from_rgb["4x4"]
        count = sum(p.numel() for p in theirs.parameters()) - sum(p.numel() for p in unused.parameters())
        assert sum(row.parameters for row in rows) == count
        found = len([row for row in rows if row.layer in ("Batch norm", "Layer norm")])
        assert found == norms - (norms == 2 and network is Discriminator)
