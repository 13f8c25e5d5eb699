"""Presets of the paper's Table 1: row by row from Gulrajani et al. (2017) to the paper's configuration, at 128x128.

What the paper says (section 6.1, Appendix A.2) and what the Theano program's config does; ours where they differ:

- Growth is 600 + 600 kimg in the paper and 800 + 800 in the program. The paper's is the default.
- Every row but h ends at 10,000 kimg and uses the low-capacity network (fmap_base 2048). Rates do not ramp up.
- Rows a to c: latents of 128, not normalized; ReLU, batch normalization and tanh in G; layer normalization in D;
  n_critic 5, beta2 0.9, no drift. The average of G moves by 0.999 per 16 images in every row, as in the program.
- Until row f the learning rate is 0.0001 and He's constant scales the initial weights.
- Row h: the paper says non-crippled networks and longer training, neither of which the program's config has. Ours:
  fmap_base 8192, and 20,000 kimg as for LSUN.
- LSUN bedroom is the other half of the table: the same presets with --no-mirror.
"""

from typing import Any

BASE: dict[str, Any] = {
    "resolution": 128,
    "stable_kimg": 600,
    "fade_kimg": 600,
    "total_kimg": 10000,
    "fmap_base": 2048,
    "tick_kimg": 50,
}
"""What all rows share."""

REVISED: dict[str, Any] = {**BASE, "stddev": "none", "learning_rate": 0.0001, "equalized": False, "pixelnorm": "none"}
"""Row d: the paper's training parameters without the paper's contributions."""

GULRAJANI: dict[str, Any] = {
    **REVISED,
    "latent_size": 128,
    "latent_norm": "none",
    "generator_slope": 0.0,
    "generator_norm": "batch",
    "tanh": True,
    "discriminator_norm": "layer",
    "n_critic": 5,
    "beta2": 0.9,
    "minibatch": 64,
    "drift": 0.0,
}
"""Row b: Gulrajani et al., grown."""

STDDEV: dict[str, Any] = {key: value for key, value in REVISED.items() if key != "stddev"}
EQUALIZED: dict[str, Any] = {key: value for key, value in STDDEV.items() if key not in ("learning_rate", "equalized")}

TABLE1: dict[str, dict[str, Any]] = {
    "table1-a": {**GULRAJANI, "grow": False},
    "table1-b": GULRAJANI,
    "table1-c": {**GULRAJANI, "minibatch": 16},
    "table1-d": REVISED,
    "table1-e-star": {**REVISED, "minibatch_discrimination": 100},
    "table1-e": STDDEV,
    "table1-f": EQUALIZED,
    "table1-g": BASE,
    "table1-h": {**BASE, "fmap_base": 8192, "total_kimg": 20000},
}
"""Row -> options: a Gulrajani et al.; b grown; c minibatch 16; d revised parameters; e* minibatch discrimination; e
minibatch stddev; f equalized learning rate; g pixelwise normalization; h converged."""
