"""An address of the Hub, copied from a browser, as the id that it means: org/name@revision. No torch."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zoo.folder import ModelError

HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
OTHER_KINDS = {"datasets": "a dataset", "spaces": "a Space", "papers": "a paper", "collections": "a collection"}
VIEWS = ("tree", "blob", "resolve", "raw", "commit", "commits", "edit", "blame")
"""Pages of a repository whose next part is a revision."""


def is_address(name_or_path: str | Path) -> bool:
    """Whether a MODEL is an address of a host rather than a path or a name."""
    text = str(name_or_path).strip()
    return bool(re.match(r"(https?|hf):/", text)) or text.startswith(tuple(f"{host}/" for host in HOSTS))


def hub_id_of(name_or_path: str | Path) -> str:
    """Return what a MODEL means where it is an address of the Hub, else itself as text.

    Args:
        name_or_path: https://huggingface.co/me/faces/tree/v1, hf.co/me/faces, hf://me/faces@v1 and the like.

    Raises:
        ModelError: an address of something else than a model, or of another host.
    """
    text = str(name_or_path).strip()
    address = re.sub(r"^(https?|hf):/+", r"\1://", text)  # a Path has taken one of the two slashes
    if not is_address(text):
        return text
    parts = urlsplit(address if "://" in address else f"https://{address}")
    if parts.scheme == "hf":
        words = f"{parts.netloc}{parts.path}".strip("/").split("/")
    else:
        endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc
        if parts.scheme not in ("http", "https") or parts.netloc not in (*HOSTS, endpoint):
            raise ModelError(f"{text}: got an address of {parts.netloc or 'no host'}, expected a model's on {HOSTS[0]}")
        words = parts.path.strip("/").split("/")
    words = words[1:] if words[0] == "models" else words
    if words[0] in OTHER_KINDS:
        raise ModelError(f"{text}: got the address of {OTHER_KINDS[words[0]]}, expected a model's, as of org/name")
    if len(words) < 2 or not all(words[:2]):
        raise ModelError(f"{text}: got an address without org/name, expected that of a model's page")
    repo, revision = "/".join(words[:2]), unquote(words[3]) if len(words) > 3 and words[2] in VIEWS else ""
    return f"{repo}@{revision}" if revision and "@" not in repo else repo
