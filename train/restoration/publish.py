"""`python -m train.restoration publish`: trained weights become the model folders that ship: weights, metrics, card."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from celebahq.files import sha256_of
from celebahq.options import check_options
from train.device import use_device
from train.restoration.card import card_text
from train.restoration.checkpoint import load_weights
from train.restoration.errors import RestorationError
from train.restoration.evaluate import SETS, find_weights, measure, verdict
from train.restoration.photos import read_photos, read_testset
from train.restoration.protocol import restorer, where_needed
from train.restoration.strip import save_strip
from zoo.check_image import load_network, record_check
from zoo.restoration.weights import WEIGHTS_NAME, load_restoration, save_restoration

_log = logging.getLogger("celebahq.train")


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """Turn trained restoration networks into model folders; run it again after further training."""

    weights: Path
    """Folder with NAME.safetensors of python -m train.restoration, in it or one level down; all of them are taken."""
    testsets: Path
    """Folder, or zip, with Classic5, Set5 and Set14: what ships is measured on them."""
    output: Path = Path("zoo/pretrained")
    """Where the model folders go, each in a folder of its name."""
    only: tuple[str, ...] = ()
    """Names to publish, such as artifacts-full; all that are found when empty."""
    variant: str = ""
    """Word behind the size in the names of what is published, such as free: artifacts-fast becomes artifacts-fast-free,
    the same network trained on other photographs."""
    photos: Annotated[Path, tyro.conf.arg(aliases=("--picture",))] = Path("examples/in-the-wild")
    """Folder of photographs that may be shown on the card: the first of them is."""
    data: str = (
        "399 photographs of BSDS500, its train and test parts (University of California, Berkeley: for non-commercial "
        "research and education only); the 91 images of Yang et al. (T91); 33 photographs of desktop wallpapers from "
        "Debian packages (CC BY, CC BY-SA and GPL)"
    )
    """What they were trained on, and under which license: for the card."""
    weights_license: str = "CC-BY-NC-4.0"
    """SPDX name of the license of the weights."""
    commercial: bool = False
    """Whether the license of the data leaves commercial use open."""
    device: str = "cpu"
    """auto, cpu, cuda or cuda:1."""

    def __post_init__(self) -> None:
        check_options(self)


def publish(config: PublishConfig) -> None:
    """Write a model folder for every network; print a line each. See PublishConfig.

    Raises:
        FileNotFoundError, ValueError: no weights, or none of a name that --only asks for.
    """
    found = find_weights(config.weights)
    if missing := set(config.only) - set(found):
        raise RestorationError(
            f"--only: got {', '.join(sorted(missing))}, expected some of {', '.join(found)} as in {config.weights}"
        )
    sets = {name: list(read_testset(config.testsets, name).values()) for name in SETS}
    for name in config.only or found:
        published = _with_variant(name, config.variant)
        folder = config.output / published
        metrics = _publish_one(published, found[name], folder, config, sets)
        size = (folder / WEIGHTS_NAME).stat().st_size
        _log.info(f"{folder}: {size / 1e6:.2f} MB; {_in_words(metrics)}")


def _name_parts(name: str) -> tuple[str, str, str]:
    """Net, size (with its variant) and kind: superres-fast-free-gan is superres, fast-free and gan."""
    net, *size = name.split("-")
    kind = size.pop() if net == "superres" else "psnr"
    return net, "-".join(size), kind


def _with_variant(name: str, variant: str) -> str:
    net, size, kind = _name_parts(name)
    return "-".join(part for part in (net, size, variant, kind if net == "superres" else "") if part)


def _publish_one(name: str, path: Path, folder: Path, config: PublishConfig, sets: dict[str, list]) -> dict[str, float]:
    net, size, kind = _name_parts(name)
    facts = {
        "name": name,
        "license": {
            "weights": config.weights_license,
            "data": config.data,
            "non_commercial": not config.commercial,
        },
        "training": _training(path.parent, config),
        "dataset": config.data,
    }
    save_restoration(load_weights(path), folder, **facts)

    # What is measured and shown is what lies in the folder.
    metrics = measure(name, folder / WEIGHTS_NAME, sets, config.device)
    entry = {
        "values": {column: value for column, value in metrics.items() if value != float("inf")},
        "num_images": {test: len(photos) for test, photos in sets.items()},
        "model_sha256": sha256_of(folder / WEIGHTS_NAME),
        "command": "python -m train.restoration evaluate",
    }
    (folder / "metrics.json").write_text(json.dumps({"restoration": entry}, indent=2) + "\n", encoding="utf-8")
    restore = restorer(load_restoration(folder).to(use_device(config.device)))
    photos = list(read_photos(config.photos).values())[:1]
    save_strip(folder / "samples.jpg", where_needed(restore) if net == "artifacts" else restore, photos, net)
    verdicts = {column: verdict(name, column, value) for column, value in metrics.items()}
    record_check(folder, load_network(folder))
    card = card_text(name, size, kind, metrics, verdicts, facts)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return metrics


def _training(run: Path, publishing: PublishConfig) -> dict[str, Any]:
    """Summary of the run, or model folder, that left the weights in this folder, without a path of its machine.

    Raises:
        RestorationError: weights whose license leaves commercial use open, from ones whose license does not.
    """
    summary, config = {}, {}
    if (run / "config.json").exists():
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        if "training" in config:  # a model folder: what it was trained by is known already
            if publishing.commercial and config.get("license", {}).get("non_commercial", True):
                raise RestorationError(
                    f"--commercial: got weights that started from {config.get('name', run.name)}, which is for "
                    "non-commercial use, expected ones of their own"
                )
            return config["training"]
        kept = ["net", "size", "kind", "device", "batch", "patch", "learning_rate", "ema", "precision", "seed"]
        if config.get("kind") == "gan":
            kept.append("texture_weight")
        summary = {key: config[key] for key in kept if key in config and config[key] not in ("0", "0.0")}
    if (run / "log.jsonl").exists():
        last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        summary |= {"steps": last["step"], "seconds": last["seconds"]}
    if config.get("init", "None") != "None":
        before = Path(config["init"])
        if "start_share" in config:
            share = float(config["start_share"])
            summary["weights"] = f"{1 - share:.0%} its own and {share:.0%} those that it started from"
        folder = before if before.is_dir() else before.parent
        try:  # of a model folder
            name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["name"]
        except (OSError, KeyError):  # of a run, which has no variant in its name and is published with it
            name = _with_variant(before.stem, publishing.variant)
        summary["started_from"] = {"weights": name, **_training(folder, publishing)}
    return summary


def _in_words(metrics: dict[str, float]) -> str:
    return ", ".join(
        f"{column} {'untouched' if value == float('inf') else f'{value:.2f}'}" for column, value in metrics.items()
    )
