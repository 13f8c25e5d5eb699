"""What networks cannot grow, or be, is refused in one line, before anything is written."""

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig, TrainError
from train.loop import train
from train.state.initial import Initial, start_of
from zoo.architecture import ProGANConfig


def test_a_discriminator_without_a_layer_for_its_images_does_not_grow():
    architecture = ProGANConfig(resolution=8, variant="mnist1k", direct_input=8)
    with pytest.raises(TrainError, match="--resolution: got 16, expected 8: the discriminator of --init x takes"):
        start_of(TrainConfig(dataset="f.h5", init="x", resolution=16), Initial(architecture, {}, {}, {}), None)


def test_an_architecture_that_cannot_be_is_refused_before_anything_is_written(tmp_path):
    with DatasetWriter(tmp_path / "f.h5", 8, 2) as writer:
        for _ in range(2):
            writer.write({r: np.zeros((3, r, r), np.uint8) for r in (8, 4, 2, 1)})
    with pytest.raises(TrainError, match="--generator-slope: got a number larger than any network's"):
        train(TrainConfig(dataset=tmp_path / "f.h5", outdir=tmp_path, name="run", device="cpu", generator_slope=20_000))
    assert not (tmp_path / "run" / "config.json").exists()
