"""What the Hub and the way to it refuse, each as one sentence with the remedy, by the real client's own errors."""

import pytest

from zoo.remote.hub_errors import explain

DEAD = "http://127.0.0.1:9"  # the discard port: nothing listens


def refusal_of(said) -> str:
    assert said.code == 1
    return said.refusal


def test_a_push_without_a_token_is_refused_before_anything_is_asked(hub, push):
    before = len(hub.requests)
    refused = push("me/x", token=None)
    assert refused.code == 2 and len(hub.requests) == before
    assert refused.refusal.startswith("--repo: got no token of the Hugging Face Hub") and "hf auth login" in refused.err


def test_an_expired_token_is_told_from_a_missing_repository(push):
    refused = refusal_of(push("me/x", token="expired"))
    assert "does not know the token (expired or revoked?), expected a new one (`hf auth login`" in refused


def test_a_token_that_may_only_read(hub, push):
    hub.add("me/read", {"config.json": b"{}"})
    for repo in ("me/read", "me/new-one"):
        refused = refusal_of(push(repo, token="read"))
        assert refused.startswith(f"{repo}: the token may not write there (You have read access")
        assert "expected one with write access to me" in refused


@pytest.mark.parametrize(
    ("route", "status", "words", "sentence"),
    [
        ("POST /me/x.git/info/lfs", 403, "Private repository storage limit reached", "no room for it (Private repo"),
        ("PUT /lfs/", 413, "Payload Too Large", "no room for it (Payload Too Large); delete old files"),
        ("POST /api/models/me/x/commit", 413, "Commit too large", "no room for it (Commit too large)"),
        ("POST /api/models/me/x/commit", 500, "Internal Error", "is out of order (500: Internal Error); run the same"),
        ("GET /api/models/me/x", 503, "Maintenance", "is out of order (503: Maintenance); run the same command later"),
        ("GET /api/models/me/x", 429, "Slow down", "too many requests for 127.0.0.1"),
        ("POST /api/models/me/x/preupload", 403, "Forbidden for me", "may not write there (Forbidden for me)"),
    ],
)
def test_the_hub_says_no(hub, push, monkeypatch, route, status, words, sentence):
    hub.add("me/x", {"config.json": b"{}"})
    monkeypatch.setattr(hub, "large", {})
    monkeypatch.setattr(hub, "refuse", {route: (status, {"message": words, "Retry_After": "31"})})
    refused = refusal_of(push("me/x"))
    assert refused.startswith("me/x: ") and sentence in refused
    assert status != 429 or "wait 31 seconds" in refused
    assert len(hub.repos["me/x"].commits) == 1


def test_somebody_who_pushed_in_between_is_not_overwritten(hub, push, monkeypatch):
    hub.add("me/busy", {"config.json": b"{}"})
    monkeypatch.setattr(hub, "before_commit", lambda repo: repo.commit("main", {"other.txt": b"!"}, "in between"))
    refused = refusal_of(push("me/busy"))
    assert refused == "me/busy: somebody pushed to it in between; run the same command again"
    monkeypatch.setattr(hub, "before_commit", None)
    assert push("me/busy").code == 0
    files = hub.repos["me/busy"].commits[hub.repos["me/busy"].branches["main"]]
    assert files["other.txt"] == b"!" and "model.onnx" in files


@pytest.mark.parametrize(("endpoint", "offline", "sentence"), [
    (DEAD, "0", "me/x@main: 127.0.0.1:9 cannot be reached (Connection refused), expected a connection"),
    (DEAD, "1", "me/x@main: HF_HUB_OFFLINE is set, expected a connection and HF_HUB_OFFLINE=0"),
])  # fmt: skip
def test_pushing_without_a_network_fails_before_the_folder_is_built(new_client, trained, endpoint, offline, sentence):
    client = new_client(endpoint, HF_HUB_OFFLINE=offline)
    refused = client.export("hub", "--model", trained, "--repo", "me/x", "--license", "mit")
    assert refusal_of(refused).startswith(sentence)
    assert client.run("import sys; print('torch' in sys.modules)").out == "False\n"


def test_a_large_file_that_xet_may_not_move_is_no_network_error():
    said = ConnectionError(  # by hf_xet 1.8.0
        "Network error: Request error: HTTP status client error (403 Forbidden), domain: "
        "https://huggingface.co/api/models/me/x/xet-write-token/main"
    )
    assert "refused the transfer of a large file (403 Forbidden), expected a token that" in explain(said, "me/x")


SNAPSHOT = """
import os, sys
os.environ["HF_TOKEN"] = {token!r}
from zoo.folder import ModelError
from zoo.remote.hub import snapshot
try:
    snapshot(*{arguments!r})
except ModelError as error:
    sys.exit("python -m export: " + str(error))
"""


@pytest.mark.parametrize(
    ("arguments", "token", "sentence"),
    [
        (("me/nothing",), "", "me/nothing: no folder of that name here, and not on 127.0.0.1"),
        (("me/secret",), "", "(or private), expected the right spelling or a token that may (`hf auth login`"),
        (("me/secret",), "expired", "does not know the token (expired or revoked?)"),
        (("me/models", "v9"), "", "me/models: no branch, tag or commit 'v9', expected main or v1"),
        (("me/models", "0" * 40), "", f"me/models: no branch, tag or commit '{'0' * 40}', expected main or v1"),
        (("me/models",), "", "me/models: no config.json in it, expected a model that python -m export hub pushed"),
        (("me--x/models",), "", "me--x/models: no name that a repository can have"),
        (("me/gated",), "", "me/gated: gated; accept its conditions on https://127.0.0.1"),
    ],
)
def test_what_cannot_be_pulled(hub, client, monkeypatch, arguments, token, sentence):
    hub.add("me/secret", {"config.json": b"{}"}, private=True)
    models = hub.add("me/models", {"pytorch_model.bin": b"pickle"})
    models.tags["v1"] = models.branches["main"]
    monkeypatch.setattr(hub, "refuse", {"models/me/gated": (403, {"code": "GatedRepo", "message": "Ask"})})
    said = client.run(SNAPSHOT.format(arguments=arguments, token=token))
    assert sentence in refusal_of(said)


def test_an_uncached_model_offline_names_the_cache(new_client, tmp_path):
    for offline, sentence in (("1", "not in the cache ("), ("0", "127.0.0.1:9 cannot be reached (")):
        said = new_client(DEAD, tmp_path / "home", HF_HUB_OFFLINE=offline).run(
            SNAPSHOT.format(arguments=("me/x", "v1"), token="")
        )
        assert refusal_of(said).startswith(f"me/x@v1: {sentence}")
