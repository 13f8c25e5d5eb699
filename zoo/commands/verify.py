"""Is a model folder what it was: hashes, names and shapes, and a forward pass against the recorded check image."""

from pathlib import Path

import torch

from celebahq.files import sha256_of
from zoo import weights
from zoo.catalog import Entry
from zoo.check_image import TOLERANCE, check_difference, check_inputs, load_network, recorded_hashes
from zoo.commands.detector import detector_findings
from zoo.commands.finding import Finding
from zoo.detector import CLASS
from zoo.file_hash import WrongFileError, check_file, record_of
from zoo.folder import WEIGHTS_NAMES, ModelError, read_config
from zoo.remote.cache import downloads_folder


def verify_folder(folder: Path) -> list[Finding]:
    """Check a model folder: a generator, with its discriminator where there is one, a restoration network, a detector.

    Raises:
        ModelError: there is no model in it at all.
    """
    if read_config(folder).get("class") == CLASS:
        return detector_findings(folder)
    findings = _hashes(folder)
    try:
        network = load_network(folder)
    except ModelError as error:
        return [*findings, Finding(False, f"weights: {error}")]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    findings.append(Finding(True, f"{WEIGHTS_NAMES['Generator']}: every name and shape, {parameters:,} parameters"))
    findings.append(_images(folder, network))
    if (folder / WEIGHTS_NAMES["Discriminator"]).exists():
        findings.append(_scores(folder))
    return list(dict.fromkeys(findings))  # a check image that cannot be read is found twice


def verify_checkpoint(entry: Entry, cache: Path | None = None) -> list[Finding]:
    """Check the checkpoint that a model of the cache was converted from, if it still lies there."""
    folder = downloads_folder(cache) / entry.name
    for source in entry.sources:
        path = folder / source.file
        if path.is_file():
            try:
                sha256 = check_file(path, source, record_of(path))
            except WrongFileError as error:
                return [Finding(False, f"{path}: {error}")]
            return [Finding(True, f"{path}: sha256 {sha256[:8]}")]
    return []


def _hashes(folder: Path) -> list[Finding]:
    """Compare the weight files with the hashes that the check image and, of an import, config.json hold."""
    try:
        wanted = recorded_hashes(folder) or {}
    except ModelError as error:
        return [Finding(False, str(error))]
    imported = read_config(folder).get("imported")
    imported = (
        {key: text for key, text in imported.items() if isinstance(text, str)} if isinstance(imported, dict) else {}
    )
    kept = {WEIGHTS_NAMES["Generator"]: "model_sha256", WEIGHTS_NAMES["Discriminator"]: "discriminator_sha256"}
    wanted = wanted | {name: imported[key] for name, key in kept.items() if key in imported}
    if not wanted:
        return [Finding(True, "hashes: none recorded (zoo verify --record does), nothing to compare with")]
    findings = []
    for name, sha256 in wanted.items():
        path = folder / name
        found = sha256_of(path) if path.is_file() else None
        text = f"{name}: {f'sha256 {found[:8]}' if found else 'not there'}"
        findings.append(Finding(found == sha256, text if found == sha256 else f"{text}, expected {sha256[:8]}"))
    if "file_sha256" in imported:
        findings.append(Finding(True, f"imported from {imported.get('file')}, sha256 {imported['file_sha256'][:8]}"))
    return findings


@torch.inference_mode()
def _images(folder: Path, network: torch.nn.Module) -> Finding:
    """Compare with the check image; without one, generate, and see that the images are numbers."""
    try:
        difference = check_difference(folder, network)
    except ModelError as error:
        return Finding(False, str(error))
    if difference is None:
        images = network(*check_inputs(network))
        text = "images: no check image recorded (zoo verify --record does)"
        return Finding(bool(torch.isfinite(images).all()), f"{text}; generated {tuple(images.shape)}, all of it finite")
    good = difference <= TOLERANCE
    text = f"images: {difference:.1e} of their range from the check image"
    return Finding(good, text + ("" if good else f", expected at most {TOLERANCE:.0e}"))


@torch.inference_mode()
def _scores(folder: Path) -> Finding:
    name = WEIGHTS_NAMES["Discriminator"]
    try:
        generator, discriminator = weights.load(folder), weights.load(folder, "discriminator")
    except ModelError as error:
        return Finding(False, f"{name}: {error}")
    scores, _ = discriminator.score(generator(*check_inputs(generator)))
    return Finding(bool(torch.isfinite(scores).all()), f"{name}: every name and shape, scores of its images are finite")
