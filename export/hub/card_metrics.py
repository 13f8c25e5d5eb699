"""The metrics of a model in its card: tables for people, model-index for the Hub."""

from typing import Any

from celebahq.markdown import code, code_block, plain, prose
from zoo.metrics import METRICS, metric_of, within_noise


def metrics_section(metrics: list[dict[str, Any]], repo: str) -> str:
    """Return the Markdown of all metrics: a table each, what was compared, the command that repeats it.

    Args:
        metrics: as zoo.metrics.read_metrics gives them.
        repo: org/name of the model.
    """
    if not metrics:
        return (
            f"Nothing was measured on these weights. `python -m train.metrics --model {repo} --dataset FILE.h5 "
            "--metrics swd,msssim` does it.\n"
        )
    return "\n".join(_table(entry) for entry in metrics)


def _table(entry: dict[str, Any]) -> str:
    text = METRICS.get(entry["metric"]) or metric_of(prose(entry["metric"]))
    names = list(entry["values"])
    rows = [("**this model**", entry["values"])]
    if entry.get("reals"):
        rows.append(("reals, for comparison", entry["reals"]))
    if entry.get("noise_floor"):
        other = prose(entry.get("noise_floor_of", "other reals"))
        rows.append((f"noise floor: reals against {other}", entry["noise_floor"]))
    lines = [f"### {text.heading}", ""]
    if text.reading:
        lines += [f"{text.reading[0].upper()}{text.reading[1:]}.", ""]
    lines.append("| | " + " | ".join(_column(name) for name in names) + " |")
    lines.append("|---|" + "---:|" * len(names))
    for row, values in rows:
        lines.append(f"| {row} | " + " | ".join(_number(values.get(name), text.decimals) for name in names) + " |")
    if below := within_noise(entry):
        columns = ", ".join(map(_column, below))
        lines += ["", f"Below the noise floor at {columns}: so many images cannot tell the model from reals there."]
    lines += ["", measured_on(entry)]
    if entry.get("command"):
        lines += ["", code_block(entry["command"])]
    return "\n".join(lines) + "\n"


def measured_on(entry: dict[str, Any]) -> str:
    """Return the sentence of how many images of what data a metric is from."""
    said = f"{entry['num_images']:,} images"
    if entry.get("num_reals"):
        said += f" and {entry['num_reals']:,} reals"
    if entry.get("pairs"):
        said += f" ({entry['pairs']:,} pairs)"
    if data := entry.get("dataset"):
        said += f", data {data_named(data)}"
        said += ", half of the reals mirrored" if entry.get("mirror") else ""
    if entry.get("features"):
        said += f", features: {prose(entry['features'])}"
    said += f", seed {prose(entry['seed'])}" if "seed" in entry else ""
    said += f", on {prose(entry['device'])}" if entry.get("device") else ""
    return f"{said}."


def data_named(data: dict[str, Any], in_table: bool = False) -> str:
    """Return a dataset's file, size and hash in words."""
    file, sha256 = (code(data.get(key) or "?", in_table) for key in ("file", "sha256_4x4"))
    return f"{file} ({data.get('faces', 0):,} images, SHA-256 of its 4×4 level {sha256})"


def model_index(name: str, dataset_id: str, metrics: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Return model-index of the card's metadata, as the Hub reads it; None where nothing was measured.

    Args:
        name: of the model.
        dataset_id: type of the dataset: its id on the Hub, or its file's name.
        metrics: as zoo.metrics.read_metrics gives them.
    """
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = []
    for entry in metrics:
        text = metric_of(entry["metric"])
        data = entry.get("dataset") or {}
        indexed = [name for name in text.indexed if entry["values"].get(name) is not None]
        for value_name in indexed:
            how = {
                "num_images": entry["num_images"],
                "command": plain(entry["command"]) if entry.get("command") else None,
            }
            how |= {
                compared: rounded(entry[compared][value_name])
                for compared in ("noise_floor", "reals")
                if entry.get(compared, {}).get(value_name) is not None
            }
            results.append(
                EvalResult(
                    task_type="unconditional-image-generation",
                    task_name="Unconditional image generation",
                    dataset_type=dataset_id,
                    dataset_name=plain(data.get("file", dataset_id)),
                    dataset_args={key: data[key] for key in ("faces", "sha256_4x4") if key in data} or None,
                    metric_type=entry["metric"] if len(indexed) == 1 else value_name,
                    metric_name=text.heading if len(indexed) == 1 else f"{text.heading}: {value_name}",
                    metric_value=rounded(entry["values"][value_name]),
                    metric_args={key: item for key, item in how.items() if item is not None},
                )
            )
    return eval_results_to_model_index(name, results) if results else None


def rounded(value: float) -> float:
    """Return a metric without the digits that no measurement has."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _column(name: str) -> str:
    if name.isdecimal():
        return f"{name}×{name}"
    return {"ms_ssim": "MS-SSIM", "is": "IS"}.get(name, name.upper() if name in ("fid", "kid", "kl") else prose(name))


def _number(value: float | None, decimals: int) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.{decimals}f}"
