"""What a build has to do with its cluster: which one it takes, what all nodes must see, where its faces were made."""

import contextlib
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celebahq_builder.cluster.node_facts import differences, node_facts
from celebahq_builder.cluster.restorer import Restorers
from celebahq_builder.config import BuildConfig
from celebahq_builder.sources.remote import url_of

if TYPE_CHECKING:
    from celebahq_builder.cluster.ray_pool import RayCluster

_log = logging.getLogger("celebahq.build")


def cluster_of(config: BuildConfig) -> "AbstractContextManager[RayCluster | None]":
    """Return the cluster of --ray, which begins with its first task; None without that option.

    Raises:
        ClusterError: Ray is not installed.
    """
    address = config.ray
    if address is None:
        return contextlib.nullcontext()
    from celebahq_builder.cluster.ray_pool import RayCluster

    config = seen_by_nodes(config)
    paths = {"--input": config.input, "--masks": config.masks}
    local = {flag: path for flag, path in paths.items() if path is not None and not url_of(path)}
    on_gpu = config.device == "cuda" and config.restore != "off"
    if on_gpu:
        _log.info("--ray: GPUs of different kinds make faces that agree within one gray level")
    return RayCluster(address, config.workers, local, Restorers() if on_gpu else None)


def seen_by_nodes(config: BuildConfig) -> BuildConfig:
    """Return the options with absolute paths of what nodes read, whose current folder is another one."""
    if config.ray is None:
        return config
    return replace(config, input=_absolute(config.input), masks=config.masks and _absolute(config.masks))


def tell_other_machine(header: Mapping[str, Any]) -> None:
    """Say where the rows so far were made with other libraries or on another kind of processor than here.

    Args:
        header: of the manifest that is gone on with; {} where there is none.
    """
    before, now = header.get("computed_on"), node_facts()
    if not isinstance(before, dict) or not (differing := differences(before, now)):
        return
    old, new = (", ".join(f"{name} {facts.get(name, 'none')}" for name in differing) for facts in (before, now))
    _log.warning(f"continuing: the faces so far were made with {old}, now {new}; they agree within one gray level")


def _absolute(path: Path) -> Path:
    return path if url_of(path) else path.absolute()
