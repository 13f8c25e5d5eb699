"""Inception score: its two ends, and its definition on numbers small enough to write down."""

import numpy as np
import pytest

from train.metrics.errors import MetricError
from train.metrics.inception_score import inception_score


def test_uniform_predictions_score_one():
    assert inception_score(np.full((200, 1008), 0.7)) == (pytest.approx(1.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))


@pytest.mark.parametrize("gap", [50.0, 1e4])  # 1e4: every other probability underflows to nothing
def test_certain_and_even_predictions_score_the_number_of_classes(gap):
    logits = np.tile(np.eye(20) * gap, (30, 1))
    mean, deviation = inception_score(logits)
    assert mean == pytest.approx(20, rel=1e-9) and deviation == pytest.approx(0, abs=1e-9)


def test_one_class_alone_scores_one():
    logits = np.zeros((50, 10))
    logits[:, 3] = 1e4
    assert inception_score(logits)[0] == pytest.approx(1.0, abs=1e-12)


def test_score_is_the_definition_on_random_predictions():
    logits = np.random.default_rng(0).standard_normal((103, 7)).astype(np.float32) * 3
    p = np.exp(logits.astype(float))
    p /= p.sum(axis=1, keepdims=True)
    scores = []
    for i in range(10):
        part = p[i * 103 // 10 : (i + 1) * 103 // 10]
        marginal = part.mean(axis=0)
        scores.append(np.exp(np.mean([sum(q * np.log(q / m) for q, m in zip(row, marginal)) for row in part])))  # noqa: B905
    assert inception_score(logits) == (pytest.approx(np.mean(scores)), pytest.approx(np.std(scores)))


def test_a_constant_added_to_the_logits_of_an_image_changes_nothing():
    logits = np.random.default_rng(1).standard_normal((40, 5))
    shifted = logits + np.arange(40)[:, None]
    assert inception_score(shifted) == pytest.approx(inception_score(logits))


def test_too_few_images_are_refused():
    with pytest.raises(MetricError, match="fakes: got 9 images, expected at least 10"):
        inception_score(np.zeros((9, 4)))
