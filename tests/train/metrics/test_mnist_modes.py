"""MNIST-1K: the files, the triples, the classifier, the counts and what sampling alone adds to the divergence."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from train.metrics.digit_classifier import FILE_NAME, DigitClassifier, error_rate, load_or_train, train_classifier
from train.metrics.errors import MetricError
from train.metrics.mnist import read_mnist, stacked_triples
from train.metrics.mnist_modes import count_modes, kl_of_sampling, kl_to_uniform

IMAGES = 25_600


class ClassInTheCenter(DigitClassifier):
    """Reads the class that the test wrote as the brightness of the digits, 20 levels a class."""

    def forward(self, digits: torch.Tensor) -> torch.Tensor:
        level = (digits[:, 0, 14, 14] * 255 / 20).round().long()
        return torch.nn.functional.one_hot(level, 10).float()


def images_of(modes: np.ndarray) -> np.ndarray:
    digits = np.stack([modes // 100, modes // 10 % 10, modes % 10], 1).astype(np.uint8) * 20
    return np.broadcast_to(digits[:, :, None, None], (len(modes), 3, 32, 32))


def test_mnist_is_read_whole_and_padded(real_data):
    digits, labels = read_mnist(real_data / "mnist", "t10k")
    assert digits.shape == (10_000, 32, 32) and digits.dtype == np.uint8
    # Class frequencies of the test set, as printed all over the literature (980 zeros, 1135 ones, ...).
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert not digits[:, :2].any() and not digits[..., -2:].any() and digits[:, 2:-2, 2:-2].mean() > 30
    assert digits[0].max() >= 254 and labels[:4].tolist() == [7, 2, 1, 0]  # the famous first four


def test_triples_stack_the_digits_that_their_mode_names(real_data):
    digits, labels = read_mnist(real_data / "mnist", "t10k")
    images, modes = stacked_triples(digits, labels, 300, seed=3)
    assert images.shape == (300, 3, 32, 32)
    lookup = {digit.tobytes(): int(label) for digit, label in zip(digits, labels, strict=True)}
    read = [[lookup[channel.tobytes()] for channel in image] for image in images]
    assert modes.tolist() == [100 * r + 10 * g + b for r, g, b in read]


def test_counts_are_those_of_a_plain_loop():
    modes = np.random.RandomState(0).randint(0, 1000, 700)
    modes[:300] = 123
    found = count_modes([images_of(modes[:256]), images_of(modes[256:])], ClassInTheCenter())
    assert found.num_images == 700 and found.modes == len(set(modes.tolist()))
    expected = 0.0
    for mode in set(modes.tolist()):
        share = sum(m == mode for m in modes.tolist()) / 700
        expected += share * math.log(share / (1 / 1000))
    assert found.kl == pytest.approx(expected, rel=1e-12)


def test_one_mode_has_the_divergence_of_a_certainty_and_all_alike_have_none():
    alone = count_modes([images_of(np.full(50, 999))], ClassInTheCenter())
    assert (alone.modes, alone.kl) == (1, pytest.approx(math.log(1000)))
    even = count_modes([images_of(np.arange(1000))], ClassInTheCenter())
    assert (even.modes, even.kl) == (1000, pytest.approx(0, abs=1e-12))


def test_divergence_of_sampling_alone_is_the_closed_form():
    """Against the exact expectation from the binomial law of a cell, and against drawn histograms."""
    n = np.arange(1, 200)  # a cell holds 25.6 of 25,600 on average
    cell = scipy.stats.binom.pmf(n, IMAGES, 1 / 1000) * n / IMAGES * np.log(n / IMAGES * 1000)
    assert kl_of_sampling(IMAGES) == pytest.approx(1000 * cell.sum(), rel=0.01)
    drawn = np.random.RandomState(0).multinomial(IMAGES, [1 / 1000] * 1000, size=200)
    mean = np.mean([kl_to_uniform(counts) for counts in drawn])
    assert mean == pytest.approx(kl_of_sampling(IMAGES), rel=0.02)
    assert round(kl_of_sampling(IMAGES), 4) == 0.0195


def test_images_of_another_shape_are_refused():
    with pytest.raises(MetricError, match=r"modes: got 3-channel images of 64x64, expected three digits, .* of 32x32"):
        count_modes([np.zeros((2, 3, 64, 64), np.uint8)], ClassInTheCenter())
    with pytest.raises(MetricError, match="got 1-channel images of 32x32"):
        count_modes([np.zeros((2, 1, 32, 32), np.uint8)], ClassInTheCenter())


def write_idx(path: Path, array: np.ndarray) -> None:
    sizes = b"".join(n.to_bytes(4) for n in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.fixture(scope="module")
def short_training(real_data):
    digits, labels = read_mnist(real_data / "mnist", "train")
    return train_classifier(digits[:12_800], labels[:12_800], epochs=1)


@pytest.mark.slow
def test_one_pass_over_a_fifth_of_mnist_errs_on_less_than_one_in_twenty(short_training, real_data):
    """The full training, 8 passes over all of it, is asked for 0.5 % where it is used; it takes minutes."""
    assert error_rate(short_training, *read_mnist(real_data / "mnist", "t10k")) < 0.05


@pytest.mark.slow
def test_real_triples_cover_every_mode(short_training, real_data):
    digits, labels = read_mnist(real_data / "mnist", "t10k")
    images, modes = stacked_triples(digits, labels, 2000)
    found = count_modes([images], short_training)
    true = np.bincount(modes, minlength=1000)
    # Some digits in a hundred are taken for another, and other ones on another kind of processor; a triple with one
    # leaves a mode, enters one, or both.
    assert found.modes == pytest.approx(np.count_nonzero(true), rel=0.02)
    assert found.kl == pytest.approx(kl_to_uniform(true), abs=0.02)


def test_same_seed_trains_the_same_classifier(real_data):
    digits, labels = read_mnist(real_data / "mnist", "t10k")
    a, b = (train_classifier(digits[:512], labels[:512], epochs=1, seed=4).state_dict() for _ in range(2))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_kept_classifier_is_used_again_and_a_weak_one_is_never_kept(monkeypatch, tmp_path, real_data):
    import train.metrics.digit_classifier as module

    digits, labels = read_mnist(real_data / "mnist", "t10k")
    weak = train_classifier(digits[:512], labels[:512], epochs=1)
    monkeypatch.setattr(module, "train_classifier", lambda *_, **__: weak)
    mnist, cache = tmp_path / "mnist", tmp_path / "cache"
    mnist.mkdir()
    for part in ("train", "t10k"):  # plain idx files, as the archives hold them
        write_idx(mnist / f"{part}-images-idx3-ubyte", digits[:1000, 2:-2, 2:-2])
        write_idx(mnist / f"{part}-labels-idx1-ubyte", labels[:1000])
    with pytest.raises(MetricError, match=r"got \d+\.\d\d% errors on the test digits, expected 0\.5% at most"):
        load_or_train(mnist, cache=cache)
    assert not cache.exists()

    monkeypatch.setattr(module, "MAX_ERROR", 0.9)
    _, error = load_or_train(mnist, cache=cache)
    monkeypatch.setattr(module, "train_classifier", None)  # a second training would crash
    kept, kept_error = load_or_train(None, cache=cache)
    assert kept_error == error
    for key, value in weak.state_dict().items():
        assert torch.equal(value, kept.state_dict()[key]), key


def test_damaged_classifier_and_missing_files_are_named(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"no safetensors")
    with pytest.raises(MetricError, match=rf"{FILE_NAME}: cannot be read .* delete it"):
        load_or_train(None, cache=tmp_path)
    with pytest.raises(MetricError, match="expected --mnist DIR with the four MNIST files"):
        load_or_train(None, cache=tmp_path / "empty")
    with pytest.raises(MetricError, match=r"train-images-idx3-ubyte\.gz: not there"):
        read_mnist(tmp_path, "train")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + bytes(11)))
    with pytest.raises(MetricError, match="expected idx bytes in 3 dimensions"):
        read_mnist(tmp_path, "train")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(np.random.RandomState(0).bytes(1000))[:500])
    with pytest.raises(MetricError, match="cannot be read"):
        read_mnist(tmp_path, "train")
