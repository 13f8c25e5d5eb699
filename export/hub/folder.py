"""Build on disk what the Hub is to hold: a model folder with its card, its .onnx, a script and an image."""

import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zoo
from celebahq.files import atomic_path
from export import sample
from export.config import UsageError
from export.hub.card import CardFacts, fill_in, is_generated, metadata, model_card
from export.hub.card_fields import known_fields
from export.hub.card_training import data_of
from export.hub.config import HubConfig
from export.hub.license import choose_license
from zoo.folder import ModelError, read_config
from zoo.metrics import read_metrics

FILES = (
    "README.md",
    "config.json",
    "model.safetensors",
    "discriminator.safetensors",
    "check.safetensors",
    "model.onnx",
    "model.onnx.data",
    "sample.py",
    "samples.png",
    "training.json",
    "metrics.json",
)
"""What is sent, where it is there; whatever else lies in the folder stays on this machine."""
NO_FACES = re.compile(r"lsun|mnist|cifar|dtd|aircraft", re.IGNORECASE)


@dataclass(frozen=True)
class HubFolder:
    """A folder as it will be published.

    Attributes:
        path: where it is.
        files: names that are sent, in the order of FILES.
        summary: one line of what it is, for the commit.
        notes: what the user ought to know, one line each.
    """

    path: Path
    files: list[str]
    summary: str
    notes: list[str]

    def __str__(self) -> str:
        """The tree with sizes, then the card."""
        sizes = [(self.path / name).stat().st_size for name in self.files]
        lines = [f"{self.path}/  {_size(sum(sizes))}"]
        lines += [f"  {name:<26}{_size(size):>10}" for name, size in zip(self.files, sizes, strict=True)]
        card = (self.path / "README.md").read_text(encoding="utf-8")
        rule = "-" * 30
        return "\n".join([*lines, f"{rule} README.md {rule}", card.rstrip("\n"), f"{rule} end of README.md {rule}"])


def build_folder(config: HubConfig, output: Path, page: str, published_card: str | None = None) -> HubFolder:
    """Build the folder of one model.

    Args:
        config: the command's options.
        output: the folder; made if it is missing. A README.md in it that somebody edited is kept.
        page: address that the model will have.
        published_card: README.md that the Hub holds now.

    Raises:
        UsageError: the model or the folder cannot be used, or it is to be published and nobody chose a license.
        ParityError: onnxruntime and PyTorch disagree about the model.
    """
    from export.onnx_export.to_onnx import without_local_paths  # late: torch takes seconds

    try:
        model = zoo.model_folder(config.model)
        stated = read_config(model)
    except ModelError as error:
        raise UsageError(str(error)) from None
    if (kind := stated.get("class", "Generator")) != "Generator":
        raise UsageError(f"{model}: got a model of class {kind}, expected a Generator")
    if output.exists() and (not output.is_dir() or output.resolve() == model.resolve()):
        what = "the model itself" if output.is_dir() else "a file"
        raise UsageError(f"--output: got {output}, {what}, expected a folder of its own")
    license = choose_license(stated, config.license, config.data_license, config.license_link)
    notes = []
    if license.weights is None:
        refusal = (
            f"--license: got none, and {config.model} states none, expected an identifier of the Hub, "
            "cc-by-nc-4.0 say (CelebA's photographs are for non-commercial research)"
        )
        if not config.dry_run:
            raise UsageError(refusal)
        notes.append(refusal)
    described = without_local_paths({**stated, **({"license": license.to_config()} if license.to_config() else {})})
    metrics = read_metrics(model)
    try:
        # Weights and what describes them; then what is made of them.
        others = {file.name for file in output.iterdir()} - {"README.md"} if output.exists() else set()
        if others and "sample.py" not in others:  # another model's, perhaps
            raise UsageError(
                f"--output: got {output} with {min(others)}, not made by this command, expected a new folder"
            )
        output.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample.__file__, output / "sample.py")  # first: by it the next run knows a folder of its own
        for name in ("model.safetensors", "discriminator.safetensors", "check.safetensors"):
            left_out = name == "discriminator.safetensors" and not config.discriminator
            if (model / name).is_file() and not left_out:
                _copy(model / name, output / name)
            else:
                (output / name).unlink(missing_ok=True)
        _write_json(output / "config.json", described)
        kept = {entry["metric"]: {key: item for key, item in entry.items() if key != "metric"} for entry in metrics}
        for name, told in (("training.json", training_summary(model, described)), ("metrics.json", kept)):
            (output / name).unlink(missing_ok=True)
            if told:
                _write_json(output / name, without_local_paths(told))
        _put_onnx(model, output)
        seeds = _seeds(described["architecture"])
        _generate_samples(output, seeds, described["architecture"].get("label_size") or 0)

        # The card, unless somebody wrote one.
        said = known_fields(described)
        data = data_of(said)
        facts = CardFacts(
            repo=config.repo,
            page=page,
            config=described,
            license=license,
            metrics=without_local_paths(metrics),
            dataset_id=config.dataset_id or Path(data.get("file", "")).stem or data.get("name"),
            faces=generates_faces(config, said),
            parameters=_parameters(output / "model.safetensors"),
            samples=seeds,
        )
        notes += _write_card(config, facts, output, model, published_card)
    except OSError as error:
        where = error.filename2 or error.filename or output  # of a copy, the second is the one that is written
        raise UsageError(
            f"{where}: cannot be written ({error.strerror}), expected a writable --output with room"
        ) from None
    size, training = described["architecture"]["resolution"], said.get("training") or {}
    summary = f"ProGAN generator, {size}x{size}" + (f", {training['kimg']:g} kimg" if training.get("kimg") else "")
    files = [name for name in FILES if (output / name).is_file()]
    return HubFolder(output, files, summary, notes)


def training_summary(model: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return how a model was trained: what its config.json says and, of a run folder, all options and the last tick.

    Args:
        model: model folder; its parent may be the run folder.
        config: config.json.
    """
    summary = {key: config[key] for key in ("training", "dataset", "imported", "source") if config.get(key)}
    run = model.resolve().parent
    try:
        options = json.loads((run / "config.json").read_text(encoding="utf-8"))
        rows = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return summary
    kimg = (known_fields(config).get("training") or {}).get("kimg", 0)
    rows = [row for row in rows if isinstance(row, dict) and row.get("kimg", kimg + 1) <= kimg]
    private = ("outdir", "name")  # where it lies on one machine
    summary["options"] = {key: value for key, value in options.items() if key not in private}
    return {**summary, "last_tick": rows[-1]} if rows else summary


def generates_faces(config: HubConfig, described: dict[str, Any]) -> bool:
    """Return --faces; by itself it is no for a dataset that is known to have none, a warning too few is worse."""
    if config.faces != "auto":
        return config.faces == "yes"
    data, training = data_of(described), described.get("training") or {}
    return not NO_FACES.search(f"{data.get('name')} {data.get('file')} {training.get('preset')} {config.dataset_id}")


def _put_onnx(model: Path, output: Path) -> None:
    """Export the model into the folder; an export of the same weights and config that is there is only checked."""
    from export.onnx_export.to_onnx import export_onnx

    if not (output / "model.onnx").exists() and (model / "model.onnx").is_file():
        _copy(model / "model.onnx", output / "model.onnx")
    try:
        export_onnx(output)
    except UsageError:  # what is there is of other weights, or of another config
        export_onnx(output, overwrite=True)


def _write_card(
    config: HubConfig, facts: CardFacts, output: Path, model: Path, published_card: str | None
) -> list[str]:
    """Write README.md; return what to tell the user about it. An edited one is kept: here, on the Hub, by the model."""
    places = [("--output", output / "README.md"), ("the Hub", None), ("the model folder", model / "README.md")]
    text, notes = model_card(facts), []
    for place, path in places if not config.overwrite_card else ():
        found = published_card if path is None else path.read_text(encoding="utf-8") if path.is_file() else None
        if not found or not found.strip() or is_generated(found):
            continue
        try:
            text = fill_in(found, metadata(facts))
        except ValueError as error:
            raise UsageError(f"README.md of {place}: {error}; mend it, or give --overwrite-card") from None
        filled = "kept" if text == found else "kept, metadata that it lacked filled in"
        notes.append(f"README.md: {place} holds one that somebody edited, {filled} (--overwrite-card replaces it)")
        if facts.metrics and "model-index:" in found and _stale(found, metadata(facts)):
            notes.append("README.md: its model-index lacks metrics of metrics.json, edit it or --overwrite-card")
        break
    with (output / "README.md").open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    return notes


def _stale(text: str, fields: dict[str, Any]) -> bool:
    """Whether a card's index lacks a value that was measured."""
    values = [m["value"] for model in fields["model-index"] for r in model["results"] for m in r["metrics"]]
    return not all(f"value: {value}" in text for value in values)


def _generate_samples(folder: Path, seeds: tuple[str, int], label_size: int) -> None:
    """Run the folder's own script, as its reader will: what is published has run."""
    command = [sys.executable, "sample.py", "--seeds", seeds[0], "--output", "samples.png", "--device", "cpu"]
    subprocess.run(command + ["--label", "0"] * (label_size > 0), cwd=folder, check=True, capture_output=True)


def _seeds(architecture: dict[str, Any]) -> tuple[str, int]:
    """Return seeds and columns of samples.png: about a thousand pixels wide, at most eight faces of the largest."""
    last, columns = {256: (15, 4), 512: (7, 4), 1024: (7, 4)}.get(architecture["resolution"], (31, 8))
    return f"0-{last}", columns


def _parameters(weights: Path) -> int:
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict


def _copy(source: Path, target: Path) -> None:
    """Copy a large file, which appears whole or not at all."""
    with atomic_path(target) as partial:
        shutil.copyfile(source, partial)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
