"""What the Hugging Face Hub or the way to it refused, as one sentence with the remedy. For pulling and for pushing."""

import re
from pathlib import Path

LOGIN = "`hf auth login`, or HF_TOKEN"
XET_ANSWER = re.compile(r"HTTP status (?:client|server) error \((\d{3}) ([^)]*)\)")
"""What hf_xet, which moves large files on huggingface.co, says of an answer: it raises no error of huggingface_hub."""
OUT_OF_ROOM = re.compile(r"storage|quota|exceed|too large|limit reached", re.IGNORECASE)


def network_errors() -> tuple[type[Exception], ...]:
    """Return what a call of huggingface_hub raises for reasons outside this program, to be caught and explained.

    Its errors, those of the HTTP library below it (which changed with its versions 1 and 2: hence by descent), and
    those of the disk.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    return (OSError, HFValidationError, LocalEntryNotFoundError, HfHubHTTPError.__bases__[0])


def explain(error: Exception, repo_id: str, revision: str | None = None, *, pushing: bool = False) -> str:
    """Return one line, `{repo}: {what was found}, expected {what else}`, or the remedy.

    Args:
        error: one of network_errors(), raised by huggingface_hub.
        repo_id: the repository it was about, org/name.
        revision: the branch, tag or commit that was asked for.
        pushing: whether something was to be written.
    """
    from huggingface_hub import constants, errors, get_token

    host = constants.ENDPOINT.partition("://")[2].rstrip("/")
    name = f"{repo_id}@{revision}" if revision else repo_id
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, network_errors()):
        return explain(error.__cause__, repo_id, revision, pushing=pushing)  # why it had to be looked for in the cache
    if isinstance(error, errors.HFValidationError):
        return f"{repo_id}: no name that a repository can have, expected org/name of letters, digits, '-', '_' and '.'"
    if constants.HF_HUB_OFFLINE and isinstance(error, (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)):
        held = "" if pushing else f"not in the cache ({constants.HF_HUB_CACHE}) and "
        return f"{name}: {held}HF_HUB_OFFLINE is set, expected a connection and HF_HUB_OFFLINE=0"
    if isinstance(error, errors.LocalTokenNotFoundError):
        return f"{repo_id}: no token on this machine, expected {LOGIN}"
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_answer(error, repo_id, revision, host, pushing, get_token() is not None)
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        wanted = "expected a writable place with room; HF_HOME moves the cache"
        return f"{Path(error.filename)}: cannot be written ({error.strerror}), {wanted}"
    if upload := XET_ANSWER.search(str(error)):
        what = f"{host} refused the transfer of a large file ({upload[1]} {upload[2]})"
        return f"{repo_id}: {what}, expected a token that may do it ({LOGIN}) and room for it"
    system = re.search(r"\[Errno -?\d+\] ([^\"')]+)", str(error))  # the core of what may be three errors in one
    reason = system[1] if system else str(error).strip().partition("\n")[0] or type(error).__name__
    return f"{name}: {host} cannot be reached ({reason}), expected a connection (or another HF_ENDPOINT or HTTPS_PROXY)"


def _explain_answer(error, repo_id: str, revision: str | None, host: str, pushing: bool, has_token: bool) -> str:
    """Explain an HfHubHTTPError: the Hub answered, and said no."""
    from huggingface_hub import errors

    status = error.response.status_code
    said = _said(error)
    if isinstance(error, errors.GatedRepoError):
        return f"{repo_id}: gated; accept its conditions on https://{host}/{repo_id} and give a token ({LOGIN})"
    if isinstance(error, errors.DisabledRepoError):
        return f"{repo_id}: disabled by {host}, expected another repository"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo_id}: no branch, tag or commit {revision!r}, expected {_revisions(repo_id)}"
    if isinstance(error, errors.EntryNotFoundError):
        return f"{repo_id}: a file of it is not there any more ({said}), expected another revision"
    if status in (403, 413, 507) and (status != 403 or OUT_OF_ROOM.search(said)):
        return f"{repo_id}: no room for it ({said}); delete old files, or take a larger plan on {host}"
    if status == 401 and has_token and (not isinstance(error, errors.RepositoryNotFoundError) or "nvalid" in said):
        return f"{repo_id}: {host} does not know the token (expired or revoked?), expected a new one ({LOGIN})"
    if status == 401 and pushing:
        return f"{repo_id}: no token on this machine, expected one that may write ({LOGIN})"
    if isinstance(error, errors.RepositoryNotFoundError):
        here = "" if pushing else "no folder of that name here, and "
        hidden = "this token may not see it" if has_token else "private"
        return (
            f"{repo_id}: {here}not on {host} (or {hidden}), expected the right spelling or a token that may ({LOGIN})"
        )
    if status == 403:
        owner = repo_id.partition("/")[0]
        return f"{repo_id}: the token may not write there ({said}), expected one with write access to {owner} ({LOGIN})"
    if status == 412:
        return f"{repo_id}: somebody pushed to it in between; run the same command again"
    if status == 429:
        after = re.search(r"after (\d+) seconds", str(error)) or re.fullmatch(
            r"(\d+)", error.response.headers.get("Retry-After", "")
        )
        wait = f"{after[1]} seconds" if after else "a few minutes"
        return f"{repo_id}: too many requests for {host}, wait {wait}, or give a token: {LOGIN}"
    if status >= 500:
        return f"{repo_id}: {host} is out of order ({status}: {said}); run the same command later"
    return f"{repo_id}: {host} refused ({status}: {said}), see its message"


def _said(error) -> str:
    """Return the server's own words in one line, or its status phrase."""
    said = error.server_message or error.response.headers.get("X-Error-Message") or error.response.reason_phrase
    return " ".join(str(said).split()).rstrip(".") or "no reason given"


def _revisions(repo_id: str) -> str:
    """Return the branches and tags that a repository has, a few of them; something vague where even that fails."""
    from huggingface_hub import HfApi

    try:
        refs = HfApi().list_repo_refs(repo_id)
    except network_errors():
        return "one that it has"
    names = [ref.name for ref in (*refs.branches, *refs.tags)]
    return " or ".join(names[:6]) + (" (and more)" if len(names) > 6 else "") or "one that it has"
