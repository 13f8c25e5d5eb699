"""python -m zoo list: models that ship, that were trained here, that are in the cache, and all of the catalogue."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from celebahq.files import printable
from zoo.catalog import Catalog, Entry, read_catalog
from zoo.detector import CLASS, ONNX_NAME
from zoo.folder import CONFIG_NAME, WEIGHTS_NAMES, ModelError, read_config
from zoo.locate import PRETRAINED, shipped
from zoo.metrics import metric_lines, read_metrics
from zoo.remote.cache import cache_folder, cached_model, is_cached

ABOUT = {
    "Generator": "generator",
    "ArtifactRemover": "removes JPEG artifacts",
    "SuperResolver": "enlarges photographs 4 times",
    CLASS: "finds faces, and five points in each",
}


def listing(words: Sequence[str], runs: Path, cache: Path | None = None) -> list[str]:
    """Return the lines.

    Args:
        words: only names that contain one of them; all of them where there is none.
        runs: folder of the runs of python -m train.
        cache: as zoo.remote.cache.cache_folder takes it.
    """

    def wanted(name: str) -> bool:
        return not words or any(word.lower() in name.lower() for word in words)

    catalog = read_catalog()
    lines = _section("Shipped with the package", ((name, PRETRAINED / name) for name in shipped() if wanted(name)))
    trained = sorted(path.parent for path in runs.glob(f"*/model/{CONFIG_NAME}"))
    lines += _section(
        f"Trained here ({runs})", ((path.parent.name, path) for path in trained if wanted(path.parent.name))
    )
    here = [name for name in catalog.entries if is_cached(name, cache) and wanted(name)]
    lines += _section(f"In the cache ({cache_folder(cache)})", ((name, cached_model(name, cache)) for name in here))
    entries = [entry for entry in catalog.entries.values() if wanted(entry.name)]
    lines += ["", f"Catalogue: {len(entries)} published models (python -m zoo pull NAME; nc: non-commercial use only)"]
    lines += [_catalog_line(entry, catalog, entry.name in here) for entry in entries]
    return lines[1:]


def _section(title: str, models: Iterable[tuple[str, Path]]) -> list[str]:
    lines = [_model_line(name, folder) for name, folder in models]
    return ["", title, *lines] if lines else ["", f"{title}: none"]


def _model_line(name: str, folder: Path) -> str:
    try:
        config = read_config(folder)
        name_of_weights = ONNX_NAME if config.get("class") == CLASS else WEIGHTS_NAMES["Generator"]
        size = (folder / name_of_weights).stat().st_size
    except (ModelError, OSError) as error:
        return printable(f"  {name:<30} {error}")
    about = ABOUT.get(config.get("class", "Generator"), str(config.get("class")))
    if side := config["architecture"].get("resolution"):
        about += f" {side}x{side}"
    metrics = "; ".join(metric_lines(read_metrics(folder)))
    line = f"  {name:<30} {size / 1e6:6.1f} MB  {about}, {license_words(config)}" + (f"; {metrics}" if metrics else "")
    return printable(line)  # it may be from anywhere


def _catalog_line(entry: Entry, catalog: Catalog, here: bool) -> str:
    size = entry.sources[0].size
    known = f"{size / 1e6:.0f} MB" if size else ""
    state = "in the cache" if here else "" if catalog.readable(entry) else "not readable here"
    nc = "nc" if entry.non_commercial else ""
    by_hand = "by hand" if all(source.manual for source in entry.sources) and not state else ""
    publisher = entry.publisher.partition(" (")[0]
    return f"  {entry.name:<30} {known:>7} {nc:<3} {publisher:<38} {state}{by_hand}".rstrip()


def license_words(config: dict[str, Any]) -> str:
    """Return the license of a model's weights as its config.json gives it."""
    license = config.get("license") or config.get("licence")
    if isinstance(license, dict):
        use = ", non-commercial use only" if license.get("non_commercial") else ""
        return f"{license.get('weights', 'not stated')}{use}"
    return license if isinstance(license, str) else "license not stated" if not license else json.dumps(license)
