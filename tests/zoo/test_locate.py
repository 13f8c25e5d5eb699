"""What MODEL means: a path, a shipped model, a name of the catalogue, a Hub id; and what is said of all else."""

import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo.folder import ModelError
from zoo.locate import PRETRAINED, shipped
from zoo.remote import hub

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def asked(monkeypatch):
    """What the Hub is asked for, instead of asking it: (id, revision)."""
    calls = []
    monkeypatch.setattr(hub, "snapshot", lambda name, revision=None: calls.append((name, revision)) or Path("there"))
    return calls


@pytest.mark.parametrize(
    ("name", "revision", "wanted"),
    [
        ("org/name", None, ("org/name", None)),
        ("org/name@v1", None, ("org/name", "v1")),
        ("org/name", "v1", ("org/name", "v1")),
        ("org/name@refs/pr/1", None, ("org/name", "refs/pr/1")),
    ],
)
def test_org_name_that_is_no_folder_is_a_hub_id(asked, name, revision, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert zoo.model_folder(name, revision) == Path("there")
    assert asked == [wanted]


def test_a_folder_of_that_name_wins_over_the_hub(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("org/name")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert zoo.model_folder("org/name") == folder
    assert not asked


@pytest.mark.parametrize("name", ["runs/00001-paper", "here/faces", "org/faces.onnx", "/nowhere/faces", "../faces"])
def test_a_mistyped_path_is_no_hub_id(asked, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    with pytest.raises(ModelError, match="not there, expected a model folder or a run folder"):
        zoo.model_folder(name)
    assert not asked


def test_a_name_that_is_nearly_one_of_the_catalogue_is_guessed():
    with pytest.raises(ModelError, match=r"celebahq1024: not there \(did you mean celebahq-1024 or "):
        zoo.model_folder("celebahq1024")


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("celebahq-1024", "v1", "only a Hugging Face id has revisions"),
        (".", "v1", "only a Hugging Face id has revisions"),
        ("org/name@v1", "v2", "got revision 'v2' as well, expected one of the two"),
    ],
)
def test_a_revision_that_cannot_be_is_refused(asked, name, revision, said):
    with pytest.raises(ModelError, match=said):
        zoo.model_folder(name, revision)
    assert not asked


def test_a_hub_id_that_the_catalogue_knows_as_another_program_s_is_pulled(monkeypatch, asked):
    monkeypatch.setattr("zoo.pull.pull", lambda entry, cache=None: Path(entry.name))
    assert zoo.model_folder("huggan/pggan-celebahq-1024") == Path("celebahq-1024.huggan")
    assert not asked


def test_every_shipped_model_is_found_by_its_name():
    for name in shipped():
        assert zoo.model_folder(name) == PRETRAINED / name
        assert any((PRETRAINED / name).glob("model.*"))


def test_finding_a_model_imports_no_torch(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    program = (
        "import sys, zoo; print(zoo.model_folder(sys.argv[1]))\n"
        "try: zoo.model_folder('celebahq1024')\nexcept ValueError: pass\n"
        "assert 'torch' not in sys.modules and 'huggingface_hub' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT, timeout=600)


def test_a_name_that_no_file_can_have_is_a_model_error():
    with pytest.raises(ModelError, match="File name too long, expected a model that can be read"):
        zoo.model_folder("x" * 5000)
