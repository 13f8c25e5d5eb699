"""From a name to a model folder: downloaded, checked, converted and licensed once; also from the Hub."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from celebahq.files import sha256_of
from zoo import pull as pull_module
from zoo.catalog import Catalog, Source, read_catalog
from zoo.folder import ModelError
from zoo.pull import pull

ROOT = Path(__file__).resolve().parents[2]
NAME = "faces-32.faulty"


@pytest.fixture
def checkpoint(real_data):
    """A published layout with generator and discriminator, half faded in."""
    return real_data / "zoo_vectors" / "ganzoo_32_alpha025.pth"


@pytest.fixture
def entry(faulty_server, entry_of, checkpoint, monkeypatch, tmp_path):
    """An entry of the catalogue whose file the local server has, and of which eight digits of the hash are known."""
    faulty_server.content = checkpoint.read_bytes()
    source = Source(
        file="faces.pth", layout="gan_zoo", url=f"{faulty_server.url}/good", sha256_prefix=sha256_of(checkpoint)[:8]
    )
    made = entry_of(source)
    catalog = Catalog(entries={NAME: made}, layouts=read_catalog().layouts)
    monkeypatch.setattr("zoo.locate.read_catalog", lambda: catalog)
    monkeypatch.setattr(pull_module, "read_catalog", lambda: catalog)
    monkeypatch.setenv("CELEBAHQ_ZOO_CACHE", str(tmp_path))
    return made


def test_three_lines_from_a_name_to_the_images_of_its_own_program(entry, checkpoint):
    vectors = np.load(checkpoint.with_suffix(".npz"))
    generator = zoo.load(NAME)
    images = generator(torch.from_numpy(vectors["z"]))
    np.testing.assert_allclose(images.numpy(), vectors["images"], rtol=0, atol=1e-4)


def test_what_was_pulled_says_what_it_is_and_may_be_used_for(entry, checkpoint, tmp_path):
    folder = zoo.model_folder(NAME)
    assert folder == tmp_path / "models" / NAME
    config = json.loads((folder / "config.json").read_text())
    assert config["license"] == {"weights": "CC-BY-NC-4.0", "data": "CelebA: non-commercial", "non_commercial": True}
    assert config["imported"]["file_sha256"] == sha256_of(checkpoint)
    assert config["imported"]["model_sha256"] == sha256_of(folder / "model.safetensors")
    assert config["imported"]["discriminator_sha256"] == sha256_of(folder / "discriminator.safetensors")
    assert config["source"] == entry.sources[0].url
    assert config["catalog"] == {"name": NAME, "recognised_by": "download"}


def test_license_is_stated_once_and_nothing_is_downloaded_again(entry, faulty_server, logged, capsys):
    zoo.model_folder(NAME)
    assert "\n".join(logged).count(f"{NAME}: for non-commercial use only. Weights: CC-BY-NC-4.0.") == 1
    faulty_server.requests.clear()
    logged.clear()
    capsys.readouterr()
    zoo.model_folder(NAME)
    assert not faulty_server.requests and not logged
    assert capsys.readouterr() == ("", "")


def test_two_that_want_a_model_at_once_get_one(entry, faulty_server, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        folders = list(threads.map(pull, [entry, entry]))
    assert folders == [tmp_path / "models" / NAME] * 2
    assert faulty_server.count("/good") == 1
    assert zoo.load(NAME).config.resolution == 32
    assert not list((tmp_path / "models").glob(".*"))


def test_again_converts_once_more_and_downloads_nothing(entry, faulty_server, tmp_path):
    folder = zoo.model_folder(NAME)
    (folder / "config.json").write_text("{}")
    faulty_server.requests.clear()
    assert pull(entry, again=True) == folder
    assert zoo.load(folder).config.resolution == 32
    assert not faulty_server.requests


def test_a_file_that_is_no_checkpoint_leaves_no_model(entry, faulty_server, entry_of, tmp_path):
    faulty_server.content = b"\x80\x02no checkpoint at all" * 100
    wrong = entry_of(Source(file="faces.pth", layout="gan_zoo", url=f"{faulty_server.url}/good"))
    with pytest.raises(ModelError, match=r"faces\.pth"):
        pull(wrong)
    assert not list((tmp_path / "models").glob("*/"))


def test_a_layout_that_nothing_reads_is_not_downloaded():
    with pytest.raises(ModelError, match=r"celeba-128\.tfhub: nothing here reads it"):
        pull(read_catalog().entries["celeba-128.tfhub"])


def test_a_path_wins_over_a_name(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    with pytest.raises(ModelError, match=r"no config\.json in it"):
        zoo.load(NAME)


# The Hub: its routes as huggingface_hub asks for them, on the local server.

COMMIT = "c4b40d2" + "0" * 33
FROM_HUB = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from zoo.catalog import Source
from zoo.remote.fetch import FetchError
from zoo.remote.hub_file import fetch_from_hub
source = Source(file="pytorch_model.bin", layout="huggan", hub="org/faces", revision=sys.argv[2])
try:
    path, sha256 = fetch_from_hub(source)
except FetchError as error:
    sys.exit(f"error: {error}")
print(path.read_bytes() == Path(sys.argv[3]).read_bytes(), sha256)
"""

ASK_HUB = """
import sys
sys.path[:0] = [sys.argv[1]]
from zoo.commands import online
from zoo.catalog import Source
from zoo.remote.fetch import open_client
source = Source(file="pytorch_model.bin", layout="huggan", hub="org/faces", revision=sys.argv[2])
with open_client(10) as client:
    print(*online._ask(client, source))
"""


@pytest.fixture
def from_hub(faulty_server, checkpoint, tmp_path):
    """A function: revision, further settings -> what a process that asks the local Hub for a file prints."""
    faulty_server.content = checkpoint.read_bytes()
    faulty_server.commit = COMMIT

    def run(revision: str, program: str = FROM_HUB, **settings: str) -> subprocess.CompletedProcess:
        environment = {
            **os.environ,
            "HF_ENDPOINT": faulty_server.url,
            "HF_HOME": str(tmp_path),
            "HF_HUB_DISABLE_XET": "1",
        }
        command = [sys.executable, "-c", program, str(ROOT), revision, str(checkpoint)]
        return subprocess.run(command, env=environment | settings, capture_output=True, text=True, timeout=600)

    return run


def test_part_of_a_commit_is_enough_and_the_hub_s_own_hash_comes_with_the_file(from_hub, faulty_server, checkpoint):
    assert from_hub("c4b40d2").stdout.split() == ["True", sha256_of(checkpoint)]
    faulty_server.requests.clear()
    assert from_hub("c4b40d2", HF_HUB_OFFLINE="1").stdout.split() == ["True", sha256_of(checkpoint)]
    assert not faulty_server.requests  # once there, it asks nobody


def test_its_address_is_asked_at_that_commit(from_hub, faulty_server):
    answer = from_hub("c4b40d2", program=ASK_HUB).stdout
    assert answer == "True a file of 1.6 MB True\n"
    assert ("GET", f"/org/faces/resolve/{COMMIT}/pytorch_model.bin", "bytes=0-1023") in faulty_server.requests
    assert from_hub("abcdef1", program=ASK_HUB).stdout == "False no commit abcdef1 any more True\n"


def test_a_commit_that_is_gone_is_said(from_hub):
    assert from_hub("abcdef1").stderr.strip().endswith("error: no commit abcdef1 any more")
