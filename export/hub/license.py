"""Under which license a model is published: what its config.json states, what the user says, what the Hub calls it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from export.config import UsageError
from export.sample import OnnxGenerator

_IDENTIFIERS = """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    openrail++ afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0
    cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
    cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl
    gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl mpl-2.0 odc-by odbl osl-3.0
    postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr fair-noncommercial-research-license
"""
HUB_LICENSES = frozenset(_IDENTIFIERS.split())
"""Identifiers that the Hub knows (huggingface.co/docs/hub/repositories-licenses); the rest is "other" and a name."""


@dataclass(frozen=True)
class License:
    """Terms of a model's weights and of the images it learned from.

    Attributes:
        weights: as stated; None where nobody did.
        data: as stated; None where nobody did.
        non_commercial: whether either forbids commercial use; None where that was not stated.
        link: where the text of the weights' license is, if that was said.
    """

    weights: str | None
    data: str | None = None
    non_commercial: bool | None = None
    link: str | None = None

    @property
    def hub_id(self) -> str:
        """What the Hub calls it: an identifier, "other" for what it has none for, "unknown" for nothing stated."""
        if self.weights is None:
            return "unknown"
        identifier = slug(self.weights)
        return identifier if identifier in HUB_LICENSES else "other"

    def metadata(self, page: str) -> dict[str, str]:
        """Return license, and for "other" license_name and license_link, of the card's metadata.

        Args:
            page: address of the model's page: its card tells the terms where nothing else does.
        """
        if self.weights is None or self.hub_id != "other":
            return {"license": self.hub_id}
        name = slug(self.weights)
        return {"license": "other", "license_name": name, "license_link": self.link or f"{page}#license"}

    def to_config(self) -> dict[str, Any]:
        """Return the field "license" of config.json."""
        fields = {
            "weights": self.weights,
            "data": self.data,
            "non_commercial": self.non_commercial,
            "link": self.link,
        }
        return {name: value for name, value in fields.items() if value is not None}


def stated_config(generator: OnnxGenerator) -> dict[str, Any]:
    """Return the config.json that an .onnx file carries; {} where it carries none, or something else."""
    try:
        config = json.loads(generator.metadata.get("config") or "{}")
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def slug(name: str) -> str:
    """Return "cc-by-nc-4.0" for "CC BY-NC 4.0": lower case letters, digits, '.', '+' and '-'."""
    return re.sub(r"[^a-z0-9.+]+", "-", name.lower()).strip("-.") or "unnamed"


def choose_license(
    config: dict[str, Any], weights: str | None = None, data: str | None = None, link: str | None = None
) -> License:
    """Return the terms of a model.

    Args:
        config: config.json; "license" is text, or {"weights", "data", "non_commercial", "link"}.
        weights: what the user says, as --license.
        data: what the user says, as --data-license.
        link: what the user says, as --license-link.

    Raises:
        UsageError: the user and the model disagree about the weights: what somebody else stated is not relabelled.
    """
    stated = config.get("license") or config.get("licence") or {}
    if not isinstance(stated, dict):
        stated = {"weights": str(stated)}
    stated = {
        key: value if key == "non_commercial" else str(value) for key, value in stated.items() if value is not None
    }
    if slug(str(stated.get("weights"))) in ("unknown", "none"):  # what an import of a stray file says
        stated = {}
    if weights and stated.get("weights") and slug(weights) != slug(stated["weights"]):
        raise UsageError(
            f"--license: got {weights}, expected {stated['weights']} as the model's config.json states; "
            "only its author can change that"
        )
    chosen, terms = weights or stated.get("weights"), data or stated.get("data")
    non_commercial = stated.get("non_commercial")
    if non_commercial is None and any(
        re.search(r"\bnc\b|non-?commercial|research only", text, re.IGNORECASE) for text in (chosen, terms) if text
    ):
        non_commercial = True
    return License(chosen, terms, non_commercial, link or stated.get("link"))
