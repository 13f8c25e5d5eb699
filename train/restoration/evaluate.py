"""`python -m train.restoration evaluate`: the published protocols on every network there is, against the tables."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from celebahq.options import check_options
from train.device import use_device
from train.restoration.checkpoint import load_weights
from train.restoration.errors import NoPhotosError, RestorationError
from train.restoration.photos import read_photos, read_testset
from train.restoration.protocol import (
    Restore,
    artifacts_psnr,
    clean_psnr,
    ensembled,
    halved,
    reduced_pair,
    restorer,
    superres_psnr,
    where_needed,
)
from train.restoration.texture import texture_distance
from zoo.restoration.checkerboard import CheckerboardFilter
from zoo.restoration.networks import SuperResolver
from zoo.restoration.weights import WEIGHTS_NAME, load_restoration

_log = logging.getLogger("celebahq.train")

BEGIN, END = "<!-- evaluate: begin -->", "<!-- evaluate: end -->"
SETS = ("Classic5", "Set5", "Set14")
QUALITIES = (10, 20, 30, 40)
X8 = " x8"
# Published by the DnCNN, SwinIR and SRGAN papers. TARGETS: of our networks, trained on a CPU, and on a GPU.
PUBLISHED: dict[str, dict[str, tuple[float, ...]]] = {
    "Classic5": {
        "JPEG": (27.82, 30.12, 31.48, 32.43),
        "ARCNN": (29.03, 31.15, 32.51, 33.34),
        "DnCNN-3": (29.40, 31.63, 32.91, 33.77),
        "RNAN": (29.96, 32.11, 33.38, 34.27),
    },
    "Set5, Set14": {
        "bicubic": (28.43, 25.99),
        "VDSR": (31.35, 28.01),
        "SRResNet": (32.05, 28.49),
        "SRGAN": (29.40, 26.02),
    },
}
TARGETS = {
    ("artifacts-full", "Q10"): (29.2, 29.9),
    ("artifacts-full", "Q20"): (31.4, 32.0),
    ("artifacts-full", "Q40"): (33.5, 34.2),
    ("artifacts-full", "clean"): (45.0, 45.0),
    ("artifacts-fast", "Q10"): (28.8, 29.4),
    ("artifacts-fast", "clean"): (45.0, 45.0),
    ("superres-full-psnr", "Set5"): (31.6, 32.1),
    ("superres-full-psnr", "Set14"): (28.25, 28.6),
    ("superres-fast-psnr", "Set5"): (31.2, 31.6),
    ("superres-full-gan", "Set14"): (25.5, 26.3),
    ("superres-fast-gan", "Set14"): (25.5, 26.3),
}


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure restoration networks by the published protocols."""

    weights: Path
    """Folder with NAME.safetensors of python -m train.restoration, or of model folders such as zoo/pretrained."""
    testsets: Path
    """Folder, or zip, with Classic5, Set5 and Set14."""
    faces: Path | None = None
    """Folder of photographs of faces to measure on as well, each halved; a table of its own."""
    self_ensemble: bool = False
    """Measure each network with self-ensemble as well, in a row NAME x8, at eight times the work."""
    device: str = "cpu"
    """auto, cpu, cuda or cuda:1."""
    output: Path | None = None
    """Markdown file to write the tables to as well: between its lines BEGIN and END, or a new file of nothing else."""

    def __post_init__(self) -> None:
        check_options(self)


def find_weights(folder: Path) -> dict[str, Path]:
    """The weights of a folder by name (artifacts-full, superres-fast-gan ...), sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted([*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")])
    found = {path.parent.name if path.name == WEIGHTS_NAME else path.stem: path for path in paths}
    found = {name: path for name, path in found.items() if name.startswith(("artifacts-", "superres-"))}
    if not found:
        raise NoPhotosError(f"{folder}: got no .safetensors in it, expected weights of python -m train.restoration")
    return found


def _restorer(name: str, path: Path, device: str) -> Restore:
    network: nn.Module = load_restoration(path.parent) if path.name == WEIGHTS_NAME else load_weights(path)
    if isinstance(network, SuperResolver) and name.removesuffix(X8).endswith("gan"):  # as the builder uses it
        network = CheckerboardFilter(network)
    restore = restorer(network.to(use_device(device)))
    return ensembled(restore) if name.endswith(X8) else restore


def measure(name: str, path: Path | None, sets: dict[str, list[np.ndarray]], device: str) -> dict[str, float]:
    """Metrics of one network by column, dB and texture distance; path None measures doing nothing, or bicubic.

    A name that ends in X8 is of a network with self-ensemble.
    """
    restore = None if path is None else _restorer(name, path, device)
    if name.startswith("artifacts"):
        gated = None if restore is None else where_needed(restore)
        metrics = {f"Q{quality}": artifacts_psnr(gated, sets["Classic5"], quality) for quality in QUALITIES}
        undamaged = sets["Set5"] + sets["Set14"]
        if restore is None or gated is None:
            return metrics
        return metrics | {"clean": clean_psnr(gated, undamaged), "clean, alone": clean_psnr(restore, undamaged)}
    metrics = {test: superres_psnr(restore, sets[test]) for test in ("Set5", "Set14")}
    if restore is not None:
        pairs = [reduced_pair(photo) for photo in sets["Set14"]]
        originals, restored = [original for original, _ in pairs], [restore(small) for _, small in pairs]
        metrics["texture"] = texture_distance(originals, restored)
        if name.removesuffix(X8).endswith("psnr"):
            metrics["texture with noise"] = texture_distance(originals, _with_noise(originals, restored))
    return metrics


def _with_noise(originals: list[np.ndarray], restored: list[np.ndarray]) -> list[np.ndarray]:
    """Restored photos plus white noise of the power of what they lack: the cheapest way to look detailed."""
    rng = np.random.default_rng(0)
    noisy = []
    for original, photo in zip(originals, restored, strict=True):
        sigma = np.sqrt(np.mean((original.astype(float) - photo) ** 2))
        noisy.append(np.clip(np.rint(photo + rng.normal(0, sigma, photo.shape)), 0, 255).astype(np.uint8))
    return noisy


def evaluate(config: EvaluateConfig) -> str:
    """Print, and return, the tables of every network of config.weights; see EvaluateConfig."""
    sets = {name: list(read_testset(config.testsets, name).values()) for name in SETS}
    found = find_weights(config.weights)
    if config.self_ensemble:
        found = {f"{name}{x8}": path for name, path in found.items() for x8 in ("", X8)}
    tables = []
    for kind, nothing, columns, published in (
        ("artifacts", "JPEG", [*(f"Q{q}" for q in QUALITIES), "clean", "clean, alone"], PUBLISHED["Classic5"]),
        ("superres", "bicubic", ["Set5", "Set14", "texture", "texture with noise"], PUBLISHED["Set5, Set14"]),
    ):
        rows = {f"{kind}: {nothing}": None} | {name: path for name, path in found.items() if name.startswith(kind)}
        lines = [f"| {' | '.join(['network', *columns])} |", "|---" * (len(columns) + 1) + "|"]
        for name, path in rows.items():
            metrics = measure(name, path, sets, config.device)
            cells = [
                _cell(metrics[column]) + _in_brackets(verdict(name, column, metrics[column]))
                if column in metrics
                else ""
                for column in columns
            ]
            lines.append(f"| {' | '.join([name, *cells])} |")
            _log.info(lines[-1])
        for name, values in published.items():
            cells = [*map(_cell, values), *[""] * (len(columns) - len(values))]
            lines.append(f"| published: {' | '.join([name, *cells])} |")
        tables.append("\n".join(lines) + "\n")
    if config.faces is not None:
        tables.append(_face_table(found, halved(list(read_photos(config.faces).values())), config.device))
    table = "\n".join(tables)
    if config.output is not None:
        _write(config.output, table)
    return table


def _face_table(found: dict[str, Path], faces: list[np.ndarray], device: str) -> str:
    """The same measurements on faces, a row a network: JPEG qualities, or enlargement and texture."""
    columns = ["faces Q10", "faces Q20", "faces Q40", "faces x4", "texture of faces"]
    lines = [f"| {' | '.join(['network', *columns])} |", "|---" * (len(columns) + 1) + "|"]
    for name, path in {"artifacts: JPEG": None, "superres: bicubic": None, **found}.items():
        restore = None if path is None else _restorer(name, path, device)
        if name.startswith("artifacts"):
            gated = None if restore is None else where_needed(restore)
            cells = [*(_cell(artifacts_psnr(gated, faces, quality)) for quality in (10, 20, 40)), "", ""]
        else:
            cells = ["", "", "", _cell(superres_psnr(restore, faces)), ""]
            if restore is not None:
                pairs = [reduced_pair(face) for face in faces]
                cells[-1] = _cell(texture_distance([face for face, _ in pairs], [restore(small) for _, small in pairs]))
        lines.append(f"| {' | '.join([name, *cells])} |")
        _log.info(lines[-1])
    return "\n".join(lines) + "\n"


def _cell(value: float) -> str:
    return "untouched" if value == float("inf") else f"{value:.2f}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def verdict(name: str, column: str, value: float) -> str:
    """Which target is met, that of networks trained on a CPU or that on a GPU; "" where there is none."""
    if (name, column) not in TARGETS:
        return ""
    on_cpu, on_gpu = TARGETS[name, column]
    if value < on_cpu:
        return f"below the CPU target {on_cpu}"
    return f"GPU target {on_gpu} met" if value >= on_gpu else f"CPU target {on_cpu} met, GPU target {on_gpu} not"


def _write(path: Path, table: str) -> None:
    """Put the tables between the two marks of a document, whose prose stays, or into a new file."""
    before, after = "", ""
    if path.exists():
        text = path.read_text(encoding="utf-8")
        if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
            raise RestorationError(
                f"--output: got {path} without lines {BEGIN} and {END}, expected a document with them, or none"
            )
        before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    path.write_text(f"{before}{BEGIN}\n{table}{END}{after or chr(10)}", encoding="utf-8")
