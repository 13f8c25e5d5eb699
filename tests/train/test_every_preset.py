"""Every preset, as the command line takes it, and two growth phases of it on real faces at reduced width."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.pyramid import pyramid
from train.__main__ import _config
from train.loop import train
from train.presets import PRESETS, preset_config

QUICK = ("table1-e-star", "cifar10", "lsgan")
"""Presets that each bring an option of their own; the others run where slow tests do."""


@pytest.fixture(scope="module")
def faces(real_data, tmp_path_factory):
    """40 faces of CelebA at 16x16."""
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive, DatasetWriter(path, 16, 40) as writer:
        for name in sorted(name for name in archive.namelist() if name.endswith(".webp"))[:40]:
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((16, 16), Image.Resampling.BOX)
            writer.write(pyramid(np.asarray(image)))
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_line_prints_and_takes_a_presets_options(name):
    config = _config(["--dataset", "faces.h5", "--preset", name])
    assert config == preset_config(name, dataset="faces.h5")
    printed = json.loads(json.dumps(config.to_dict()))
    for option, value in PRESETS[name].items():
        assert printed[option] == ([list(pair) for pair in value] if option.endswith("_at") else value), option


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PRESETS]
)
def test_two_growth_phases_run_on_real_faces_at_reduced_width(name, faces, tmp_path):
    base = preset_config(name, dataset=faces)
    images = 8 * base.n_critic
    done = train(
        preset_config(
            name, dataset=faces, outdir=tmp_path, name="run", device="cpu", resolution=16, minibatch=8,
            minibatch_at=(), max_batch_per_gpu=None, fmap_base=64, fmap_max=16, latent_size=16, image_ticks=0,
            stable_kimg=images / 1000, fade_kimg=images / 1000, total_kimg=6 * images / 1000, tick_kimg=images / 1000,
            tick_kimg_at=(), augment="none",
        )
    )  # fmt: skip
    rows = [json.loads(line) for line in (done.folder / "log.jsonl").read_text().splitlines()]
    assert done.finished and done.model is not None and rows[-1]["resolution"] == 16
    assert [row["resolution"] for row in rows[:3]] == ([4, 4, 8] if base.grow else [16, 16, 16])
    assert all(np.isfinite(row["d_loss"]) and np.isfinite(row["g_loss"]) for row in rows)
