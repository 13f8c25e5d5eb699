"""The stream of real images: each row once, then the other way round."""

import numpy as np

from celebahq_builder.hdf5 import open_dataset
from train.metrics.reals import Reals


def all_of(batches) -> np.ndarray:
    return np.concatenate(list(batches))


def test_reals_are_every_row_once_then_once_more_the_other_way_round(small_dataset):
    with open_dataset(small_dataset) as file:
        rows = file.read(32, range(40))
        reals = Reals(file, 32, mirror=True, seed=1)
        stream = all_of(reals.batches(2 * 40))
        assert len({image.tobytes() for image in stream}) == len(reals) == 2 * 40
        assert {image.tobytes() for image in stream} == {p.tobytes() for p in [*rows, *rows[..., ::-1]]}
        first = {image.tobytes() for image in stream[:40]}
        turned = sum(image.tobytes() in first for image in rows[..., ::-1])
        assert 40 / 4 < turned < 3 * 40 / 4
        assert np.array_equal(all_of(reals.batches(30, start=35)), stream[35:65])
        plain = all_of(Reals(file, 32, mirror=False).batches(40))
        assert sorted(p.tobytes() for p in plain) == sorted(p.tobytes() for p in rows)
