"""Grids of conditional runs: one class a row where labels are classes, the dataset's own labels where they are not."""

import numpy as np
import torch
from PIL import Image

from celebahq_builder.hdf5 import DatasetWriter, open_dataset
from train.config import TrainConfig
from train.report.images import grid_shape
from train.state.publish import classes_of_grid, grid_latents, save_reals


def dataset_of(path, labels: np.ndarray):
    """Faces of 4x4 whose gray level is their class, 20 times."""
    with DatasetWriter(path, 4, len(labels), labels=labels) as writer:
        for label in labels:
            level = np.uint8(20 * label.argmax())
            writer.write({r: np.full((3, r, r), level, np.uint8) for r in (4, 2, 1)})
    return open_dataset(path)


def labels_of(dataset, tmp_path) -> np.ndarray:
    config = TrainConfig(dataset=dataset.path, outdir=tmp_path, latent_size=8)
    latents, labels = grid_latents(config, dataset, 4, torch.device("cpu"))
    columns, rows = grid_shape(4)
    assert latents.shape == (columns * rows, 8) and len(latents.unique(dim=0)) == columns * rows
    return labels.numpy().reshape(rows, columns, -1)


def test_each_row_of_a_grid_is_of_one_class_reals_and_fakes_alike(tmp_path):
    classes = np.random.default_rng(0).permutation(np.repeat([0, 1, 3], 30))  # nobody is of class 2
    with dataset_of(tmp_path / "f.h5", np.eye(4, dtype=np.float32)[classes]) as dataset:
        labels = labels_of(dataset, tmp_path)
        save_reals(tmp_path, dataset, 4)
    rows = grid_shape(4)[1]
    expected = np.resize([0, 1, 3], rows)
    np.testing.assert_array_equal(labels.argmax(axis=2), expected[:, None].repeat(labels.shape[1], axis=1))
    assert (labels.sum(axis=2) == 1).all()
    with Image.open(tmp_path / "reals.png") as reals:
        gray = np.asarray(reals)[::4, ::4, 0]
    np.testing.assert_array_equal(gray, 20 * labels.argmax(axis=2))


def test_of_more_classes_than_rows_those_shown_are_spread():
    assert classes_of_grid(np.eye(100, dtype=np.float32), 5).tolist() == [0, 25, 50, 74, 99]


def test_attributes_are_shown_as_the_dataset_has_them(tmp_path):
    attributes = np.random.default_rng(0).choice(np.float32([-1, 1]), (200, 5))
    with dataset_of(tmp_path / "f.h5", attributes) as dataset:
        labels = labels_of(dataset, tmp_path)
        save_reals(tmp_path, dataset, 4)
    count = labels.shape[0] * labels.shape[1]
    np.testing.assert_array_equal(labels.reshape(count, 5), attributes[:count])
    assert classes_of_grid(np.float32([[1, 1], [0, 1]]), 2) is None
