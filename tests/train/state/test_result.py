"""train() returns what a run has come to, finished or stopped, first time or resumed."""

import logging
import os
import signal

import numpy as np

import zoo
from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig
from train.loop import train
from train.stepper import Stepper


def test_a_run_that_was_stopped_and_one_that_finished_say_where_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("celebahq"), "handlers", [])  # of a command that ran in this process before
    random = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "faces.h5", 16, 20) as writer:
        for _ in range(20):
            writer.write({r: random.integers(0, 256, (3, r, r), dtype=np.uint8) for r in (16, 8, 4, 2, 1)})
    options = TrainConfig(
        dataset=tmp_path / "faces.h5", outdir=tmp_path, name="run", device="cpu", stable_kimg=0.064, fade_kimg=0.064,
        minibatch=8, fmap_base=32, fmap_max=8, latent_size=8, tick_kimg=0.04, image_ticks=0, augment="none",
        metrics="swd", metrics_kimg=0.05, metrics_images=8,
    )  # fmt: skip
    advance = Stepper.advance

    def interrupted(stepper, growth):
        if stepper.state.nimg == 32:
            os.kill(os.getpid(), signal.SIGINT)
        return advance(stepper, growth)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "advance", interrupted)
        stopped = train(options)
    assert not stopped and not stopped.finished
    assert stopped.folder == tmp_path / "run" and stopped.checkpoint.parent == stopped.folder / "checkpoints"
    assert stopped.checkpoint.name == f"checkpoint-{stopped.kimg:010.3f}.pt"
    assert (stopped.nimg > 32, stopped.resolution, stopped.metrics) == (True, 4, {})

    finished = train(options)
    assert finished and finished.nimg == 384 and finished.kimg == 0.384
    assert zoo.load(finished.model).config.resolution == finished.resolution == 16
    assert finished.metrics["swd"]["average"] > 0 and finished.seconds > stopped.seconds
    assert str(finished).startswith(f"{tmp_path / 'run'}: finished at 0.384 kimg, 16x16, ")
    assert train(options) == finished  # nothing is left to do
    assert capsys.readouterr().out == ""
