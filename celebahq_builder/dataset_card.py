"""The card of a published dataset: what it is, how it was made, of which photographs, and what it is for."""

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celebahq.markdown import code, code_block, plain, prose
from celebahq_builder.hdf5 import Dataset

PAPER = "https://arxiv.org/abs/1710.10196"
HISTOGRAM = "scores.png"
_SIZES = ((1000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a card says that the file does not.

    repo: org/name; license: identifier of the Hub; photos_license: terms of the photographs; consent, intended_use: in
    words, None where nobody said; resolution: of the published level; num_bytes: of the shards.
    """

    repo: str
    license: str
    photos_license: str
    consent: str | None
    intended_use: str | None
    resolution: int
    num_bytes: int


def dataset_card(dataset: Dataset, facts: CardFacts) -> str:
    """Return README.md of the dataset's repository."""
    from huggingface_hub.utils import yaml_dump

    name = facts.repo.partition("/")[2]
    fields: dict[str, Any] = {
        "pretty_name": name,
        "license": facts.license,
        "task_categories": ["unconditional-image-generation"],
        "size_categories": [next((size for limit, size in _SIZES if len(dataset) < limit), "n>1M")],
        "tags": ["image", "celebahq", "progan"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
    }
    parts = [
        f"---\n{yaml_dump(fields, sort_keys=False)}---\n\n# {prose(name)}\n",
        _what_it_is(dataset, facts),
        _usage(facts),
        _how_made(dataset),
        _scores(dataset),
        _terms(facts),
    ]
    return "\n".join(part for part in parts if part)


def save_histogram(dataset: Dataset, path: Path) -> bool:
    """Draw how the scores are distributed; False where the dataset has none."""
    scores = dataset.faces.get("score")
    if scores is None or not np.isfinite(scores).any():
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel("score")
    axes.set_ylabel("faces")
    with np.errstate(all="ignore"):  # enormous ones, of somebody else
        axes.hist(scores[np.isfinite(scores)], bins=40, color="#4477aa")
        figure.savefig(path, dpi=120, metadata={"Software": None})
    return True


def _what_it_is(dataset: Dataset, facts: CardFacts) -> str:
    rows = [
        ("images", f"{len(dataset):,}"),
        ("size", f"{facts.resolution}×{facts.resolution}{', gray' if dataset.channels == 1 else ' RGB'}, PNG"),
        ("download", f"{facts.num_bytes / 1e6:,.1f} MB of parquet"),
    ]
    faces = dataset.faces
    if "source" in faces:
        rows.append(("photographs", f"{len(set(faces['source'])):,}"))
    rows += _labels(dataset)
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"Aligned faces, made and checked by `celebahq-build` or `celebahq-data`.\n\n| | |\n|---|---|\n{table}\n"


def _labels(dataset: Dataset) -> list[tuple[str, str]]:
    if dataset.labels is None:
        return []
    counts = dataset.labels.sum(axis=0)
    one_hot = bool(((dataset.labels == 0) | (dataset.labels == 1)).all() and (dataset.labels.sum(axis=1) == 1).all())
    names = dataset.label_names or [str(i) for i in range(len(counts))]
    shown = [prose(name) + (f" ({int(count):,})" if one_hot else "") for name, count in zip(names, counts, strict=True)]
    more = f", ... {len(shown) - 40} more" if len(shown) > 40 else ""
    return [("classes" if one_hot else "attributes", ", ".join(shown[:40]) + more)]


def _usage(facts: CardFacts) -> str:
    loading = (
        f'import datasets\n\nfaces = datasets.load_dataset("{facts.repo}", split="train")\nfaces[0]["image"].show()'
    )
    training = (
        f"celebahq-data import {facts.repo} --output faces.h5\npython -m train --dataset faces.h5    # with this suite"
    )
    return f"## Use\n\n{code_block(loading, 'python')}\n\n{code_block(training)}\n"


def _how_made(dataset: Dataset) -> str:
    lines = ["## How it was made\n"]
    try:
        config = json.loads(dataset.attributes.get("config", "{}"))
    except (TypeError, ValueError, RecursionError):
        config = {}
    settings = {key: value for key, value in config.items() if value not in (None, "", [])} if _is_flat(config) else {}
    if settings:
        lines += ["| option | value |", "|---|---|"]
        lines += [f"| {code(key, in_table=True)} | {code(value, in_table=True)} |" for key, value in settings.items()]
    else:
        lines.append("The file does not say.")
    if reasons := _refused(dataset.path):
        lines += ["", "What was left out:", "", "| reason | photographs |", "|---|---:|"]
        lines += [f"| {prose(reason)} | {count:,} |" for reason, count in reasons.most_common(30)]
    return "\n".join(lines) + "\n"


def _is_flat(config: object) -> bool:
    return isinstance(config, dict) and len(config) < 200 and all(len(plain(value)) < 400 for value in config.values())


def _refused(path: Path) -> Counter[str]:
    """Count the reasons of <file>.rows.csv, which stands beside a file that left something out."""
    table = path.with_name(path.name + ".rows.csv")
    try:
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return Counter(row["reason"] for row in csv.DictReader(file) if row.get("reason"))
    except (OSError, csv.Error, KeyError):
        return Counter()


def _scores(dataset: Dataset) -> str:
    scores = dataset.faces.get("score")
    if scores is None or not np.isfinite(scores).any():
        return ""
    low, middle, high = np.quantile(scores[np.isfinite(scores)], (0, 0.5, 1))
    said = f"Best {high:.3f}, median {middle:.3f}, worst {low:.3f}; the rows are sorted, best first."
    return f"## Quality\n\n![How many faces have which score]({HISTOGRAM})\n\n{said}\n"


def _terms(facts: CardFacts) -> str:
    consent = prose(facts.consent) if facts.consent else "Not stated by who published it."
    intended = facts.intended_use or (
        "Research on generative models. Not for identifying people, not for training or testing face recognition, "
        "not for judging anybody by their face, and not for images that pass for photographs of a person."
    )
    return f"""\
## Terms

- The photographs: {prose(facts.photos_license)}.
- This collection: {code(facts.license)}. It gives no right that the photographs do not give.
- Consent of the people shown: {consent}
- Intended use: {prose(intended)}
- Who finds an image of themselves here may ask for its removal in the discussions of this repository.

## Citation

- T. Karras, T. Aila, S. Laine, J. Lehtinen: Progressive Growing of GANs for Improved Quality, Stability, and
  Variation. ICLR 2018. <{PAPER}>
"""


def is_repo_id(name: str) -> bool:
    """Say whether a text can be org/name of a repository."""
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", name, re.ASCII))
