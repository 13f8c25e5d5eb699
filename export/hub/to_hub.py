"""python -m export hub: a model folder built, shown and published as one commit, top to bottom."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from celebahq.errors import CelebAHQError
from celebahq.version import version
from export.config import UsageError
from export.hub.config import HubConfig
from export.hub.folder import HubFolder, build_folder
from zoo.remote.hub_errors import LOGIN, explain, network_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_log = logging.getLogger("celebahq.export")

HUGGING_FACE = "huggingface.co"


class PublishError(CelebAHQError):
    """The Hub or the way to it refused, or the .onnx failed its check; the message is one line with the remedy."""

    exit_code = 1


@dataclass(frozen=True)
class Published:
    """What the Hub holds of a repository before a push.

    Attributes:
        head: commit of the branch that is to be changed; None where there is no such branch, or no repository.
        branches, tags: name -> commit; empty where there is no repository.
        private: None where there is no repository.
        card: README.md on that branch.
    """

    head: str | None
    branches: dict[str, str]
    tags: dict[str, str]
    private: bool | None
    card: str | None


@dataclass(frozen=True, kw_only=True)
class PushResult:
    """What a push built and sent."""

    repo: str
    files: tuple[str, ...]
    """Names in the folder."""
    folder: Path | None
    """Where the folder was kept; None where no --output was given."""
    commit: str | None = None
    """The commit that the repository is now at: a new one, or the same where nothing changed. None: a dry run."""
    changed: bool = False
    """Whether a commit was made."""
    pull_request: str | None = None
    """Its address, with --pr."""
    model: str | None = None
    """What zoo.load takes; None where nothing was sent, or a pull request waits."""
    lines: tuple[str, ...] = ()
    """What happened, for people."""

    def __str__(self) -> str:
        return "\n".join(self.lines)


def push_to_hub(config: HubConfig) -> PushResult:
    """Build and show the folder; unless it is a dry run, send it.

    Raises:
        UsageError: an option, the model, or the want of a token.
        PublishError: the Hub or the way to it refused, or the .onnx disagrees with PyTorch.
    """
    config.check()
    _without_xet_on_other_hubs()
    from huggingface_hub import HfApi, constants, get_token, utils

    if not sys.stderr.isatty():  # its bars redraw themselves in place: not in a log file
        utils.disable_progress_bars()
    page = f"{constants.ENDPOINT}/{config.repo}"
    api = HfApi(library_name="celebahq", library_version=version())

    # What is there, before minutes go into the .onnx.
    published = None
    if not config.dry_run:
        if get_token() is None:
            raise UsageError(f"--repo: got no token of the Hugging Face Hub, expected one that may write: {LOGIN}")
        with _refusals(config):
            published = look_up(api, config)
        _check(config, published)

    with _place(config.output) as output:
        from export.onnx_export.parity import ParityError  # late, as it imports torch: all refusals above come at once

        try:
            folder = build_folder(config, output, page, published.card if published else None)
        except ParityError as error:
            raise PublishError(str(error)) from None
        _log.info(str(folder))
        for note in folder.notes:
            _log.warning(f"note: {note}")
        if published is None:
            kept = f"{output} is kept" if config.output else "give --output to keep the folder"
            told = (f"dry run: nothing was sent; {kept}",)
            return PushResult(repo=config.repo, files=tuple(folder.files), folder=config.output, lines=told)
        with _refusals(config):
            return send(api, config, folder, published)


def look_up(api: "HfApi", config: HubConfig) -> Published:
    """Return what the Hub holds; raises what huggingface_hub raises."""
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    try:
        private = api.model_info(config.repo).private
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:  # a token that nobody knows
            raise
        return Published(None, {}, {}, None, None)
    refs = api.list_repo_refs(config.repo)
    branches = {ref.name: ref.target_commit for ref in refs.branches}
    head = branches.get(config.revision)
    try:
        path = api.hf_hub_download(config.repo, "README.md", revision=head or branches.get("main"))
        card = Path(path).read_text(encoding="utf-8")
    except EntryNotFoundError:
        card = None
    return Published(head, branches, {ref.name: ref.target_commit for ref in refs.tags}, private, card)


def send(api: "HfApi", config: HubConfig, folder: HubFolder, published: Published) -> PushResult:
    """Make repository and branch where they are missing, one commit where something changed, and the tag.

    Args:
        folder: what is sent.
        published: what was there; the commit is refused when that changed meanwhile.
    """
    lines = []
    if published.private is None:
        api.create_repo(config.repo, private=config.private)
        lines.append(f"{config.repo}: made, {'private' if config.private else 'public'}")
    elif config.private and not published.private:
        lines.append(f"{config.repo}: already there and public; --private is for new ones, change it in its settings")
    if config.revision != "main" and published.head is None:
        api.create_branch(config.repo, branch=config.revision, exist_ok=True)
    head = published.head or api.model_info(config.repo, revision=config.revision).sha
    commit = api.upload_folder(
        repo_id=config.repo,
        folder_path=folder.path,
        allow_patterns=folder.files,
        revision=config.revision,
        commit_message=config.message or folder.summary,
        parent_commit=head,
        create_pr=config.pr,
    )
    if commit.oid == head:
        lines.append(f"{config.repo}: nothing changed since {head[:8]}, no commit")
    elif config.pr:
        lines.append(f"{config.repo}: pull request {commit.pr_url}")
    else:
        lines.append(f"{config.repo}: {folder.summary}, commit {commit.oid}")
    if config.tag and published.tags.get(config.tag) != commit.oid:
        if config.tag in published.tags:
            raise PublishError(
                f"--tag: got {config.tag}, which names {published.tags[config.tag][:8]}, not {commit.oid[:8]} "
                "that is now there, expected another name"
            )
        api.create_tag(config.repo, tag=config.tag, revision=commit.oid)
        lines.append(f"{config.repo}: {commit.oid[:8]} is now {config.tag}")
    named = config.tag or (config.revision if config.revision != "main" else "")
    model = None if config.pr else config.repo + (f"@{named}" if named else "")
    if model:
        lines.append(f'zoo.load("{model}") loads it')
    return PushResult(
        repo=config.repo,
        files=tuple(folder.files),
        folder=config.output,
        commit=commit.oid,
        changed=commit.oid != head,
        pull_request=commit.pr_url if config.pr else None,
        model=model,
        lines=tuple(lines),
    )


def _check(config: HubConfig, published: Published) -> None:
    """Refuse what cannot end well while nothing is sent yet."""
    if config.pr and published.private is None:
        raise UsageError(f"--pr: got {config.repo}, which is not there, expected a repository; without --pr it is made")
    named = published.tags.get(config.tag) if config.tag else None
    if named and named != published.head:
        raise UsageError(f"--tag: got {config.tag}, which names {named[:8]}, expected another name")
    if config.revision in published.tags:
        raise UsageError(f"--revision: got {config.revision}, a tag there, expected the name of a branch")


@contextlib.contextmanager
def _refusals(config: HubConfig) -> Iterator[None]:
    """Turn what huggingface_hub raises for reasons outside this program into a PublishError."""
    try:
        yield
    except RuntimeError as error:  # what its uploads of large files wrap the reason in
        if not isinstance(error.__cause__, network_errors()):
            raise
        raise PublishError(explain(error.__cause__, config.repo, config.revision, pushing=True)) from None
    except network_errors() as error:
        raise PublishError(explain(error, config.repo, config.revision, pushing=True)) from None
    except ValueError as error:
        text = " ".join(str(error).split())
        if not text.startswith(("Invalid metadata", "LFS batch API")):
            raise
        wanted = "a card that it takes" if text.startswith("Invalid metadata") else "room for large files"
        raise PublishError(f"{config.repo}: got {text.rstrip('.')}, expected {wanted}") from None


@contextlib.contextmanager
def _place(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="hub-") as folder:
        yield Path(folder) / "model"


def _without_xet_on_other_hubs() -> None:
    """Switch Xet off where HF_ENDPOINT is not Hugging Face's own: the client cannot find out that it is not spoken."""
    host = os.environ.get("HF_ENDPOINT", "").partition("://")[2].partition("/")[0]
    if not host or host == HUGGING_FACE or host.endswith("." + HUGGING_FACE):
        return
    if os.environ.get("HF_HUB_DISABLE_XET", "").lower() not in ("1", "true", "yes", "on"):
        _log.warning(f"note: {host} is not {HUGGING_FACE}: large files go by Git LFS, not Xet")
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_XET = True  # it reads the environment only once, perhaps before now
