"""Our own checkpoint-*.pt: imported as the run itself publishes it, whatever state its growth is in."""

import numpy as np
import pytest
import torch

import zoo
from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig
from train.loop import train
from train.state.checkpoint import checkpoints
from zoo import weights
from zoo.folder import label_names, read_config
from zoo.importers import CheckpointImportError, import_checkpoint, import_networks

TINY = {
    "stable_kimg": 0.016, "fade_kimg": 0.016, "minibatch": 8, "fmap_base": 32, "fmap_max": 8, "latent_size": 8,
    "tick_kimg": 0.008, "image_ticks": 0, "device": "cpu", "preset": "tiny",
}  # fmt: skip


def run(folder, total_kimg, labels=None, **options):
    """Train for a few images on noise; return the run folder and its newest checkpoint."""
    random = np.random.default_rng(0)
    dataset = folder / "faces.h5"
    names = None if labels is None else ["Male", "Old", "Pale", "Young"]
    with DatasetWriter(dataset, 16, 20, labels=labels, label_names=names) as writer:
        for _ in range(20):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (16, 8, 4, 2, 1)})
    train(TrainConfig(dataset=dataset, outdir=folder, name="run", total_kimg=total_kimg, **{**TINY, **options}))
    return folder / "run", checkpoints(folder / "run" / "checkpoints")[-1]


@pytest.mark.parametrize(
    ("total_kimg", "side", "options"),
    [
        (0.008, 4, {}),
        (0.024, 4, {}),  # within the fade to 8x8
        (0.04, 8, {}),
        (0.08, 16, {"variant": "released"}),
        (0.008, 16, {"grow": False}),
    ],
    ids=["first", "fading", "half", "grown", "without growth"],
)
def test_a_checkpoint_generates_what_its_run_publishes(tmp_path, total_kimg, side, options):
    folder, path = run(tmp_path, total_kimg, **options)
    imported = import_networks(path)
    assert imported.layout == "celebahq"
    assert imported.generator.config.resolution == side
    z = torch.randn(3, 8)
    published = zoo.load(folder)
    torch.testing.assert_close(imported.generator(z), published(z), atol=1e-6, rtol=0)
    assert all(
        torch.equal(value, published.state_dict()[key]) for key, value in imported.generator.state_dict().items()
    )
    kept = weights.load(imported.save(tmp_path / "model"), "discriminator")
    state = torch.load(path, weights_only=True)["discriminator"]
    assert all(torch.equal(value, state[key]) for key, value in kept.state_dict().items())


def test_a_conditional_run_keeps_its_labels(tmp_path):
    folder, path = run(tmp_path, 0.04, labels=np.eye(4, dtype=np.float32)[np.arange(20) % 4])
    assert label_names(read_config(folder / "model"), 4) == ["Male", "Old", "Pale", "Young"]
    z, label = torch.randn(3, 8), torch.eye(4)[:3]
    torch.testing.assert_close(import_checkpoint(path)(z, label), zoo.load(folder)(z, label), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stage": 99}, "stage: got 99, expected a number from 0 to 4"),
        ({"stage": None}, "stage: got None, expected"),
        ({"g_ema": {"blocks.4x4.dense.weight": torch.zeros(128, 8)}}, "is missing"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(tmp_path, changed, said):
    _, path = run(tmp_path, 0.008)
    torch.save(torch.load(path, weights_only=True) | changed, path)
    with pytest.raises(CheckpointImportError, match=said) as failure:
        import_checkpoint(path)
    assert "\n" not in str(failure.value)


def test_a_run_that_began_with_other_networks_is_refused_with_what_to_use(tmp_path):
    _, path = run(tmp_path, 0.008)
    state = torch.load(path, weights_only=True)
    state["config"]["init"] = "celebahq-1024"
    torch.save(state, path)
    with pytest.raises(CheckpointImportError, match=r"--init celebahq-1024.* use the model folder of the run"):
        import_checkpoint(path)
