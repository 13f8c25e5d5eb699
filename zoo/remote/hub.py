"""Models of the Hugging Face Hub: an id becomes a model folder in its cache, all files of one commit. No torch."""

import sys
from pathlib import Path

from zoo.folder import CONFIG_NAME, ModelError
from zoo.remote.hub_errors import explain, network_errors

WANTED = ["*.json", "*.safetensors", "*.onnx", "*.onnx.data", "*.md", "*.png"]
"""What is downloaded: the files of a model folder. Never a pickle, never code."""


def snapshot(repo_id: str, revision: str | None = None) -> Path:
    """Return the model folder of a repository, downloading what is not in the Hub's cache yet.

    A branch or tag is resolved to its commit first, and every file is of that commit. A commit that is cached asks the
    network nothing; a branch that is cached is used as it is when the Hub cannot be reached.

    Args:
        repo_id: org/name.
        revision: branch, tag or commit; the main branch by default.

    Raises:
        ModelError: it cannot be had, or holds no model; one line, with the remedy.
    """
    import huggingface_hub
    from huggingface_hub import utils

    if not sys.stderr.isatty():  # its bars redraw themselves in place: not in a log file
        utils.disable_progress_bars()
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                repo_id, revision=revision, allow_patterns=WANTED, library_name="celebahq"
            )
        )
    except network_errors() as error:
        raise ModelError(explain(error, repo_id, revision)) from None
    if not (folder / CONFIG_NAME).is_file():
        raise ModelError(
            f"{repo_id}: no {CONFIG_NAME} in it, expected a model that python -m export hub pushed "
            "(checkpoints of other programs: python -m zoo import)"
        )
    return folder
