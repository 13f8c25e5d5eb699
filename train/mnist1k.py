"""Presets of Appendix E: how many of MNIST-1K's 1000 modes small networks find, with a D that has K times fewer maps.

`python -m train.metrics mnist1k` makes the data, `--metrics modes` of the same program counts. The paper's rows:
WGAN-GP with batch normalization in both networks; then "our normalization" (equalized learning rate in both, pixelwise
normalization in G); then minibatch stddev; then growing. It prints 25,600 triples of digits and no schedule. The Theano
program (config.py:181-208): n_critic 5, minibatch 64, no drift, 500 + 2000 kimg, 15,000 kimg in all and 10,000 without
growing; G with a slope of 0.3 and tanh in every row. These are the defaults. mnist1k-k4 and mnist1k-k2 are the last
row.
"""

from typing import Any

_GROWN: dict[str, Any] = {
    "resolution": 32,
    "variant": "mnist1k",
    "stable_kimg": 500,
    "fade_kimg": 2000,
    "total_kimg": 15000,
    "minibatch": 64,
    "n_critic": 5,
    "drift": 0.0,
    "rampup_kimg": 40,
    "mirror": False,
    "latent_size": 64,
    "fmap_base": 64,
    "fmap_max": 256,
    "generator_slope": 0.3,
    "tanh": True,
    "tick_kimg": 50,
}
_STDDEV = {**_GROWN, "grow": False, "total_kimg": 10000}
_NORM = {**_STDDEV, "stddev": "none"}
_WGAN_GP = {**_NORM, "equalized": False, "pixelnorm": "none", "generator_norm": "batch", "discriminator_norm": "batch"}

MNIST1K: dict[str, dict[str, Any]] = {
    f"mnist1k-k{k}{name}": {**options, "discriminator_divisor": k}
    for k in (2, 4)
    for name, options in (("", _GROWN), ("-stddev", _STDDEV), ("-norm", _NORM), ("-wgan-gp", _WGAN_GP))
}
"""mnist1k-kK-wgan-gp, -norm, -stddev, and without a suffix with growing, for K of 2 and 4."""
