"""A published model by name, branch, tag and commit: the same images, from one commit, without a network next time."""

from pathlib import Path

import pytest

from export.sample import latents, load_onnx

SNAPSHOT = "from zoo.remote.hub import snapshot\nprint(snapshot({!r}, {!r}))"
LOAD = """
import hashlib, torch, zoo
from zoo.progan import Generator
z = torch.randn(2, 32, generator=torch.Generator().manual_seed(1))
images = [load({name!r})(z) for load in (zoo.load, Generator.from_pretrained)]
print(*[hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images])
"""
REFUSED = """
from zoo.folder import ModelError
from zoo.progan import Generator
try:
    Generator.from_pretrained({!r})
except ModelError as error:
    print(error)
"""


@pytest.fixture
def published(hub, push, tmp_path):
    """(name, repository): two commits of one model, the first tagged v1."""
    name = f"me/{tmp_path.name}"
    assert push(name, "--tag", "v1").code == 0
    (push.output / "README.md").write_text("# Second\n")
    assert push(name).code == 0
    return name, hub.repos[name]


def test_a_pulled_model_generates_what_the_local_one_generates(client, published, trained):
    local = client.run(LOAD.format(name=str(trained))).out.split()
    pulled = client.run(LOAD.format(name=f"{published[0]}@v1")).out.split()
    assert len(set(local + pulled)) == 1 and len(pulled) == 2


def test_a_revision_is_one_commit_and_a_second_pull_needs_no_network(hub, new_client, published, tmp_path):
    name, repository = published
    first = repository.tags["v1"]
    home = tmp_path / "home"
    online = new_client(hub.url, home, token=None)
    by_tag, by_branch = (online.run(SNAPSHOT.format(name, revision)).out.strip() for revision in ("v1", None))
    assert by_tag.endswith(first) and by_branch.endswith(repository.branches["main"])

    before = len(hub.requests)
    assert online.run(SNAPSHOT.format(name, first)).out.strip() == by_tag
    assert len(hub.requests) == before  # a cached commit asks nothing

    z = latents([0, 1], 32)
    images = load_onnx(Path(by_tag) / "model.onnx", "cpu")(z)
    for endpoint, offline in (("http://127.0.0.1:9", "0"), (hub.url, "1")):
        again = new_client(endpoint, home, token=None, HF_HUB_OFFLINE=offline)
        folder = again.run(SNAPSHOT.format(name, "v1")).out.strip()
        assert folder == by_tag and (load_onnx(Path(folder) / "model.onnx", "cpu")(z) == images).all()
        assert again.run("import sys; print('torch' in sys.modules)").out == "False\n"
    assert len(hub.requests) == before


def test_pickles_and_code_are_not_downloaded(hub, client, published):
    name, repository = published
    repository.commit("main", {"pytorch_model.bin": b"pickle", "modeling.py": b"code"}, "by somebody")
    folder = Path(client.run(SNAPSHOT.format(name, None)).out.strip())
    assert (folder / "model.safetensors").is_file()
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors", ".onnx", ".md", ".png"}


def test_a_model_whose_tensors_do_not_fit_is_refused_never_filled_up(hub, client, published):
    name, repository = published
    config = repository.commits[repository.branches["main"]]["config.json"]
    repository.commit("main", {"config.json": config.replace(b'"fmap_max": 16', b'"fmap_max": 32')}, "wrong")
    said = client.run(REFUSED.format(name))
    assert "does not fit its config.json" in said.out
