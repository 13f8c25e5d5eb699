"""The model card: metadata that the Hub indexes, and what a reader must know before using the model."""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from celebahq.markdown import code, is_web_address, link, plain, prose
from export.hub.card_fields import known_fields, known_metrics
from export.hub.card_limits import FACE_TAGS, limits_of_faces, limits_of_images
from export.hub.card_metrics import metrics_section, model_index
from export.hub.card_training import data_of, training_section
from export.hub.license import License
from zoo.metrics import UNINDEXED

PAPER = "https://arxiv.org/abs/1710.10196"
OLDEST_ONNXRUNTIME = "1.14"
"""The first that reads what export.onnx_export.tracing writes, its OPSET and IR_VERSION."""
HUB_DATASET = re.compile(r"[\w.-]+/[\w.-]+")
MARK = re.compile(r"\n<!-- python -m export hub wrote this card \(([0-9a-f]{12})\); once edited, it is kept\. -->\n$")
BLOCK = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything that a card says.

    Attributes:
        repo: org/name.
        page: address of the model's page.
        config: config.json.
        license: terms of weights and data.
        metrics: as zoo.metrics.read_metrics gives them.
        dataset_id: the dataset's id on the Hub, or the name of its file.
        faces: whether it generates faces.
        parameters: of the generator.
        samples: seeds and grid of samples.png, as sample.py takes them: ("0-31", 8).
    """

    repo: str
    page: str
    config: dict[str, Any]
    license: License
    metrics: list[dict[str, Any]]
    dataset_id: str | None
    faces: bool
    parameters: int
    samples: tuple[str, int]


def metadata(facts: CardFacts) -> dict[str, Any]:
    """Return the YAML part of the card: every key that the Hub indexes."""
    facts = _known(facts)
    name = facts.repo.partition("/")[2]
    scores = [entry["metric"] for entry in facts.metrics if entry["metric"] not in UNINDEXED]
    tags = ["progan", "progressive-growing", "gan", "onnx", *(FACE_TAGS if facts.faces else ())]
    fields = {
        "library_name": "celebahq",
        "pipeline_tag": "unconditional-image-generation",
        **facts.license.metadata(facts.page),
        "tags": tags,
        # a name without its owner would be a link to nothing
        "datasets": [facts.dataset_id] if HUB_DATASET.fullmatch(facts.dataset_id or "") else None,
        "metrics": scores or None,
        "model-index": model_index(name, facts.dataset_id or name, measured(facts)),
    }
    return {key: value for key, value in fields.items() if value is not None}


def measured(facts: CardFacts) -> list[dict[str, Any]]:
    """Return the metrics with commands that measure the model where the reader finds it, in its repository."""
    return [
        entry | ({"command": with_model(entry["command"], facts.repo)} if entry.get("command") else {})
        for entry in facts.metrics
    ]


def with_model(command: str, repo: str) -> str:
    """Return a command with the repository after --model, whatever the model was called where it was measured."""
    return re.sub(r"(?<=--model )(?:'[^']*'|\S+)", lambda _: repo, command)


def model_card(facts: CardFacts) -> str:
    """Return README.md, with a mark by which `is_generated` knows that nobody edited it."""
    facts = _known(facts)
    body = "\n".join(
        [
            f"# {facts.repo.partition('/')[2]}\n",
            _what_it_is(facts),
            _usage(facts),
            "## Training\n",
            training_section(facts.config, facts.dataset_id),
            "## Metrics\n",
            metrics_section(measured(facts), facts.repo),
            limits_of_faces(facts.license, facts.repo) if facts.faces else limits_of_images(facts.repo),
            "## License\n",
            _terms(facts),
            "## Citation\n",
            *_citations(facts.config),
        ]
    )
    text = f"---\n{_yaml(metadata(facts))}---\n\n{body}"
    return f"{text}\n<!-- python -m export hub wrote this card ({_digest(text)}); once edited, it is kept. -->\n"


def _known(facts: CardFacts) -> CardFacts:
    """Return the facts without what is of no kind that we write: config.json and metrics.json may be anybody's."""
    return dataclasses.replace(
        facts,
        config=known_fields(facts.config),
        metrics=known_metrics(facts.metrics),
        dataset_id=plain(facts.dataset_id) if facts.dataset_id else None,
        license=dataclasses.replace(
            facts.license,
            weights=plain(facts.license.weights) if facts.license.weights else None,
            link=facts.license.link if is_web_address(facts.license.link) else None,
        ),
    )


def is_generated(text: str) -> bool:
    """Whether model_card wrote this text and nobody changed it since."""
    text = text.replace("\r\n", "\n")
    mark = MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def fill_in(text: str, fields: dict[str, Any]) -> str:
    """Return a card that somebody wrote, with the metadata that it lacks; not a letter of it changed.

    Args:
        text: README.md.
        fields: as metadata gives them. A key that is there stays as it is; license_name and license_link join only a
            license that is missing too.

    Raises:
        ValueError: its metadata is no YAML; one line.
    """
    import yaml

    block = BLOCK.match(text)
    try:
        there = yaml.safe_load(block[1]) if block else {}
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise ValueError(f"its metadata is no YAML (line {where.line + 2 if where else '?'})") from None
    if there is None:
        there = {}
    if not isinstance(there, dict):
        raise ValueError("its metadata is no list of keys and values")
    missing = {key: value for key, value in fields.items() if key not in there}
    if "license" in there:
        missing = {key: value for key, value in missing.items() if not key.startswith("license")}
    if not missing:
        return text
    if block is None:
        return f"---\n{_yaml(missing)}---\n\n{text}"
    return text[: block.end(1)] + "\n" + _yaml(missing).rstrip("\n") + text[block.end(1) :]


def _yaml(fields: dict[str, Any]) -> str:
    from huggingface_hub.utils import yaml_dump

    return yaml_dump(fields, sort_keys=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _what_it_is(facts: CardFacts) -> str:
    network, training = facts.config["architecture"], facts.config.get("training") or {}
    size, (seeds, columns) = network["resolution"], facts.samples
    things = "faces of people who do not exist" if facts.faces else "images"
    channels = "" if network.get("image_channels", 3) == 3 else ", gray"
    label = network.get("label_size") or 0
    conditional = f" It is conditional: a label of {label} classes goes with each latent vector." if label else ""
    data = facts.config.get("dataset") or {}
    learned = (
        f", trained on the {data['faces']:,} images of {code(data['file'])}" if {"faces", "file"} <= set(data) else ""
    )
    seen = f" until it had been shown {training['kimg'] * 1000:,.0f}" if learned and training.get("kimg") else ""
    width = min(1024, max(512, columns * size))
    return f"""\
A progressively grown generator ([ProGAN]({PAPER})) of {things}, {size}×{size} pixels{channels}{learned}{seen}.
It has {facts.parameters / 1e6:.1f} million parameters and takes {network["latent_size"]} normally distributed \
numbers.{conditional}

<img src="samples.png" width="{width}" alt="Grid of {_count(seeds)} generated images, not selected">

Seeds {seeds.replace("-", " to ")}, as they come: nothing was selected. \
`python sample.py --seeds {seeds} --output samples.png{" --label 0" if label else ""}` generates them again.
"""


def _count(seeds: str) -> int:
    first, _, last = seeds.partition("-")
    return int(last or first) - int(first) + 1


def _usage(facts: CardFacts) -> str:
    network = facts.config["architecture"]
    label = network.get("label_size") or 0
    call = "torch.randn(4, generator.config.latent_size)" + (f", torch.eye({label})[:1].repeat(4, 1)" if label else "")
    shape = f"(4, {network.get('image_channels', 3)}, {network['resolution']}, {network['resolution']})"
    flag = " --label 0" if label else ""
    return f"""\
## Use

With PyTorch and the package that made it (`celebahq`, which has `zoo`):

```python
import torch, zoo
generator = zoo.load("{facts.repo}")
images = generator({call})  # {shape}, [-1, 1]
```

Without PyTorch: `model.onnx` and `sample.py`, two files that stand alone; onnxruntime {OLDEST_ONNXRUNTIME} or newer.

```bash
pip install numpy onnxruntime huggingface_hub
hf download {facts.repo} --local-dir {facts.repo.partition("/")[2]}
cd {facts.repo.partition("/")[2]}
python sample.py --seeds 0-15 --output grid.png{flag}
```

The latent vector of a seed is `numpy.random.RandomState(seed).randn({network["latent_size"]})`: the same \
image on every machine.
"""


def _citations(config: dict[str, Any]) -> list[str]:
    """Return the paper, and what a converted model asks to be cited by besides."""
    paper = "Progressive Growing of GANs for Improved Quality, Stability, and Variation"
    lines = [f"- T. Karras, T. Aila, S. Laine, J. Lehtinen: {paper}. ICLR 2018. <{PAPER}>"]
    other = config.get("citation")
    if other and paper not in other:
        lines.append(f"- {prose(other)}")
    return [*lines, ""]


def _terms(facts: CardFacts) -> str:
    license, file = facts.license, data_of(facts.config).get("file", "")
    weights = prose(license.weights) if license.weights else "not stated: ask the author before you use them"
    text = f" ({link('text', license.link)})" if license.link else ""
    data = prose(license.data) if license.data else "terms not stated by the author"
    if not license.data and "celeb" in file.lower():
        data += "; by the file's name it is CelebA, whose photographs are for non-commercial research only"
    lines = [f"Weights: {weights}{text}.", f"Training data: {data}."]
    if license.non_commercial:
        lines.append("**Not for commercial use.**")
    return "\n".join(f"- {line}" for line in lines) + "\n"
