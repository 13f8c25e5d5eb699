"""The card of a restoration network: README.md of its model folder."""

from typing import Any

_WHAT = {
    "artifacts": "Removes JPEG artifacts of unknown strength from a photograph. An encoder-decoder with symmetric "
    "skips (RED-Net, Mao et al., 2016) on half and quarter resolution generates what the JPEG lost.",
    "superres": "Enlarges a photograph four times. Residual blocks, then one pixel shuffle (SRResNet, Ledig et al., "
    "2017).",
}
_KINDS = {
    "psnr": "Trained for the least error: it generates only what is certain, and is smoother than a photograph.",
    "gan": "Trained adversarially after that (SRGAN's idea): its texture looks like a photograph's, and is invented. "
    "Neither evidence nor identification may rest on it.",
}
_USE = {
    "artifacts": 'from celebahq_builder.restore import remove_artifacts\n\nclean = remove_artifacts(photo, "{size}")'
    "  # (H, W, 3) uint8 RGB",
    "superres": 'from celebahq_builder.restore import super_resolve\n\nlarge = super_resolve(photo, "{size}", "{kind}")'
    "  # (H, W, 3) uint8 RGB -> (4H, 4W, 3)",
}
_COLUMNS = {
    "Q10": "Classic5, JPEG quality 10, PSNR in dB",
    "Q20": "Classic5, quality 20",
    "Q30": "Classic5, quality 30",
    "Q40": "Classic5, quality 40",
    "clean": "undamaged photographs (Set5, Set14, halved), the worst, as the program uses it",
    "clean, alone": "the same, the network alone",
    "Set5": "Set5, luma PSNR in dB",
    "Set14": "Set14, luma PSNR in dB",
    "texture": "sliced Wasserstein distance of Laplacian patches to the originals, x 1e3 (Set14)",
    "texture with noise": "the same with noise of the power of the error added",
}


def card_text(
    name: str, size: str, kind: str, metrics: dict[str, float], verdicts: dict[str, str], facts: dict[str, Any]
) -> str:
    """Return the card as Markdown.

    Args:
        name: as artifacts-fast or superres-full-gan; size and kind: its parts.
        metrics: what `evaluate.measure` returned.
        verdicts: column -> what `evaluate.verdict` says of it, "" for nothing.
        facts: config.json's license, training and dataset.
    """
    net = name.partition("-")[0]
    license, training = facts["license"], facts["training"]
    targets = any(verdicts.values())
    table = ["| measured | | targets of networks trained on a CPU, and on a GPU |" if targets else "| measured | |"]
    table.append("|---|---|---|" if targets else "|---|---|")
    for column, value in metrics.items():
        text = "untouched" if value == float("inf") else f"{value:.2f}"
        table.append(f"| {_COLUMNS[column]} | {text} |{f' {verdicts[column]} |' if targets else ''}")
    rows = "\n".join(table)
    limit = (
        "Because of that data they are for non-commercial use only; the same program trained on freely licensed "
        f"photographs (`python -m train.restoration --photos DIR --net {net} --minutes 60`) gives weights without that "
        "limit."
        if license["non_commercial"]
        else "Commercial use is open."
    )
    run = _in_words(training) or "not recorded"
    what = _WHAT[net] + (" " + _KINDS[kind] if net == "superres" else "")
    return f"""---
license: {license["weights"].lower()}
pipeline_tag: image-to-image
tags: [{"jpeg-artifact-removal" if net == "artifacts" else "super-resolution"}, celeba-hq]
---

# {name}

{what}

![before, after, original](samples.jpg)

Before, after, original.

```python
{_USE[net].format(size=size, kind=kind)}
```

{rows}

Training data: {facts["dataset"]}.

License of the weights: {license["weights"]}. {limit}

Training run: {run}.

Made by `python -m train.restoration`, measured by `python -m train.restoration evaluate`.
"""


def _in_words(training: dict[str, Any]) -> str:
    words = [f"{key.replace('_', ' ')} {value}" for key, value in training.items() if key != "started_from"]
    before = training.get("started_from")
    return ", ".join(words) + (f"; started from {_in_words(before)}" if before else "")
