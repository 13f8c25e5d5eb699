"""One file of a Hugging Face repository for a catalogue entry: the commit pinned, the Hub's hash given. No torch."""

import re
import sys
from pathlib import Path

from zoo.catalog import Source
from zoo.remote.fetch import FetchError
from zoo.remote.hub_errors import explain, network_errors

SHA256 = re.compile(r"[0-9a-f]{64}")
PART_OF_A_COMMIT = re.compile(r"[0-9a-f]{6,39}")


def fetch_from_hub(source: Source) -> tuple[Path, str | None]:
    """Download the file of a source into the Hub's own cache, or find it there without asking the network.

    HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME and HF_TOKEN count as they do for huggingface_hub.

    Returns:
        The file, and the sha256 that the Hub states for it, None where it states none (small files).

    Raises:
        FetchError: the Hub does not give it; half a sentence that says why.
    """
    import huggingface_hub
    from huggingface_hub import utils

    if not sys.stderr.isatty():  # its bars redraw themselves in place: not in a log file
        utils.disable_progress_bars()
    assert source.hub is not None, "a source without a Hub id has no file there"
    try:
        commit = whole_commit(source.hub, source.revision)
        path = huggingface_hub.hf_hub_download(source.hub, source.file, revision=commit, library_name="celebahq")
    except network_errors() as error:
        raise FetchError(explain(error, source.hub, source.revision).partition(": ")[2]) from None
    stated = Path(path).resolve().name  # the Hub's cache names a large file by the hash that the Hub states for it
    return Path(path), stated if SHA256.fullmatch(stated) else None


def file_address(source: Source) -> str:
    """Return the address of a source's file on the Hub.

    Raises:
        FetchError: the Hub does not know its revision, or cannot be reached; half a sentence that says why.
    """
    import huggingface_hub

    assert source.hub is not None, "a source without a Hub id has no address there"
    try:
        commit = whole_commit(source.hub, source.revision)
    except network_errors() as error:
        status = getattr(getattr(error, "response", None), "status_code", 500)
        why = explain(error, source.hub, source.revision).partition(": ")[2]
        raise FetchError(why, reached=status < 500 and status != 429) from None
    return huggingface_hub.hf_hub_url(source.hub, source.file, revision=commit)


def whole_commit(repo_id: str, revision: str | None) -> str | None:
    """Return a whole commit for the part of one that the catalogue has; the Hub itself takes whole ones only."""
    from huggingface_hub import constants, utils

    if not revision or not PART_OF_A_COMMIT.fullmatch(revision):
        return revision
    repository = Path(constants.HF_HUB_CACHE, f"models--{repo_id.replace('/', '--')}")
    for folder in sorted(repository.glob(f"snapshots/{revision}*")):
        return folder.name
    # HfApi.list_repo_commits repeats its request for half a minute where there is no network at all
    url = f"{constants.ENDPOINT}/api/models/{repo_id}/commits/main"
    answer = utils.get_session().get(url, headers=utils.build_hf_headers(library_name="celebahq"), timeout=30)
    utils.hf_raise_for_status(answer)
    for commit in answer.json():
        if commit["id"].startswith(revision):
            return commit["id"]
    raise FetchError(f"no commit {revision} any more")
