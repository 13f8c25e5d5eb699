"""What a card says of a model's training, or of the checkpoint that it was converted from."""

from dataclasses import fields
from typing import Any

from celebahq.markdown import code, code_block, prose
from export.hub.card_metrics import data_named

OFFICIAL = ("resolution", "latent_size", "label_size", "image_channels", "fmap_base", "fmap_max", "variant",
            "stddev_group", "discriminator_divisor", "direct_input")  # fmt: skip
"""What the two official networks are told by; the other fields describe other programs' networks."""


def data_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return "dataset" of a config.json: file, faces, sha256_4x4 of a trained model, name of an imported one."""
    data = config.get("dataset")
    return data if isinstance(data, dict) else {"name": data} if data else {}


def training_section(config: dict[str, Any], dataset_id: str | None) -> str:
    """Return the Markdown of how a model was trained, or of what it was converted from: all that config.json knows.

    Args:
        config: config.json.
        dataset_id: the dataset's name where config.json has none.
    """
    training, data = config.get("training") or {}, data_of(config)
    rows = [
        ("data", data_named(data, in_table=True) if data.get("sha256_4x4") else _prose(data.get("name") or dataset_id)),
        ("preset", code(training["preset"], in_table=True) if training.get("preset") else None),
        ("length", f"{training['kimg']:,g} kimg (thousand real images shown)" if training.get("kimg") else None),
        ("mirrored reals", {True: "yes", False: "no", None: None}[training.get("mirror")]),
        ("device", _prose(training.get("device"))),
        ("precision", _prose(training.get("precision"))),
        ("time", _duration(training["seconds"]) if training.get("seconds") else None),
        ("seed", training.get("seed")),
        ("network", _network(config["architecture"])),
        *_origin(config),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows if value is not None)
    text = f"| setting | value |\n|---|---|\n{table}\n"
    if training:
        text += "\nThe weights are a moving average of the generator's, taken while it trained.\n"
    if changes := _changes(training):
        text += f"\nChanged while it trained:\n\n{changes}\n"
    if training.get("command"):
        text += f"\n{code_block(training['command'])}\n"
    return text


def _changes(training: dict[str, Any]) -> str:
    """Return a list of the options that were changed at a resume, with the moment."""
    lines = []
    for entry in training.get("history", ()):
        told = (f"{code(k)} from {code(before)} to {code(now)}" for k, (before, now) in entry["changed"].items())
        lines.append(f"- at {entry['kimg']:g} kimg: {', '.join(told)}")
    return "\n".join(lines)


def _origin(config: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return rows on the file that a model was converted from; none for one that was trained here."""
    imported = config.get("imported")
    if not imported:
        return []
    name, sha256 = (code(imported.get(key, "?"), in_table=True) for key in ("file", "file_sha256"))
    file = f"{name} ({prose(imported.get('layout', '?'))}), SHA-256 {sha256}"
    notes = "; ".join(imported.get("notes") or ())
    return [("converted from", file), ("downloaded from", _prose(config.get("source"))), ("notes", _prose(notes))]


def _prose(value: object) -> str | None:
    return prose(value) if value else None


def _network(architecture: dict[str, Any]) -> str:
    """Return which network it is, how wide, and in which fields of config.json it differs from the official ones."""
    from zoo.architecture import ProGANConfig  # late: it takes a constant from the layers, and so imports torch

    config = ProGANConfig.from_dict(architecture)
    named = {
        "paper": "as printed in the paper",
        "released": "as in the released TensorFlow program",
        "mnist1k": "the small one of the paper's Appendix E",
    }
    most = (4 if config.variant == "mnist1k" else 2) * config.fmap_base
    widths = f"min({most} / R, {config.fmap_max}) at resolution R"
    if config.widths:
        widths = ", ".join(map(str, config.widths)) + " from 4×4 up"
    plain = ProGANConfig(**{name: getattr(config, name) for name in OFFICIAL})
    differing = [
        field.name
        for field in fields(config)
        if field.name != "widths" and getattr(config, field.name) != getattr(plain, field.name)
    ]
    said = f"{named[config.variant]}, feature maps {widths}"
    return said + (f"; differs in {', '.join(f'`{name}`' for name in differing)}" if differing else "")


def _duration(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
