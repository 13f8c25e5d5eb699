"""celebahq-data push and import org/name, with the real huggingface_hub against a Hub on the loopback interface."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from celebahq_builder.dataset import main
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord
from celebahq_builder.pyramid import pyramid

ROOT = Path(__file__).resolve().parents[3]


def load(name: str):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "export" / "hub" / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="module")
def hub():
    with load("loopback_hub").LoopbackHub() as server:
        yield server


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    pytest.importorskip("pyarrow")
    home = tmp_path_factory.mktemp("hf") / "home"
    # Xet is huggingface.co's own way for large files; this Hub speaks Git LFS.
    started = load("client").Client(hub.url, home, HF_HUB_DISABLE_XET="1", HF_DATASETS_CACHE=str(home / "datasets"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    rng = np.random.default_rng(0)
    config = '{"input": "photos", "evil": "</td><script>`|"}'
    labels = np.eye(3)[[0, 1, 2, 0, 1]]
    with DatasetWriter(
        path, 16, 5, labels=labels, label_names=["a", "b", "<b>c"], attributes={"config": config}
    ) as writer:
        for i in range(5):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            writer.write(pyramid(pixels), FaceRecord(f"{i}.jpg", "0" * 64, "1" * 64, score=1 - i / 10))
    path.with_name("faces.h5.rows.csv").write_text("source,status,reason,detail\nx.jpg,skipped,no face found,\n")
    return path


def command(client, *arguments: object, token: str | None = "write"):
    setting = f"import os; os.environ['HF_TOKEN'] = {token!r}" if token else "import os; os.environ.pop('HF_TOKEN', 0)"
    code = f"from celebahq_builder.dataset import main; main({[str(a) for a in arguments]!r})"
    return client.run(f"{setting}\n{code}")


TERMS = ("--license", "cc-by-nc-4.0", "--photos-license", "taken by me <i>")


def test_a_push_comes_back_equal_by_import_and_by_datasets(hub, client, faces, tmp_path):
    pytest.importorskip("datasets")
    said = command(client, "push", faces, "--repo", "me/faces", *TERMS)
    assert said.code == 0, said.err
    assert "me/faces: private, commit " in said.out and hub.repos["me/faces"].private
    held = hub.repos["me/faces"].commits[hub.repos["me/faces"].resolve("main")]
    wanted = {"README.md", "scores.png", "data/train-00000-of-00001.parquet", ".gitattributes"}
    assert set(held) == wanted

    said = command(client, "import", "me/faces", "--output", tmp_path / "again.h5")
    assert said.code == 0, said.err
    said = command(client, "compare", faces, tmp_path / "again.h5")
    lines = dict(line.split(None, 1) for line in said.out.splitlines() if " " in line)
    assert {lines[name] for name in ("data16x16", "data8x8", "data1x1", "labels")} == {"equal"}
    said = command(client, "info", tmp_path / "again.h5")
    assert "names       a, b, <b>c" in said.out

    said = client.run(
        "import datasets, huggingface_hub\n"
        "folder = huggingface_hub.snapshot_download('me/faces', repo_type='dataset')\n"
        "loaded = datasets.load_dataset(folder, split='train')\n"
        "print(len(loaded), loaded.features['label'].names, loaded[4]['label'], loaded[4]['image'].size)"
    )
    assert said.out.strip() == "5 ['a', 'b', '<b>c'] 1 (16, 16)", said.err


def test_the_card_says_what_it_is_and_foreign_words_stay_text(hub, client, faces, tmp_path):
    said = command(client, "push", faces, "--repo", "me/card", *TERMS, "--output", tmp_path / "hub", "--dry-run")
    assert said.code == 0 and "dry run: nothing was sent" in said.out and "me/card" not in hub.repos
    card = (tmp_path / "hub" / "README.md").read_text()
    fields = yaml.safe_load(card.split("---\n")[1])
    assert fields["license"] == "cc-by-nc-4.0" and fields["size_categories"] == ["n<1K"]
    for words in (
        "| images | 5 |",
        "| classes | a (2), b (2), &lt;b&gt;c (1) |",
        "| no face found | 1 |",
        "The photographs: taken by me &lt;i&gt;.",
        "Consent of the people shown: Not stated",
        "Best 1.000, median 0.800, worst 0.600",
        r"| `evil` | ``</td><script>`\|`` |",
    ):
        assert words in card
    assert (tmp_path / "hub" / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_push_makes_no_second_commit_and_goes_on_after_a_failure(hub, client, faces, tmp_path):
    options = ("push", faces, "--repo", "me/twice", *TERMS, "--output", tmp_path / "hub")
    hub.refuse["/commit/"] = (503, {})
    try:
        failed = command(client, *options)
    finally:
        hub.refuse.clear()
    assert failed.code == 1 and failed.err.count("celebahq-data: ") == 1
    uploaded = len(hub.large)
    shard = next((tmp_path / "hub" / "data").iterdir())
    made = shard.stat().st_mtime_ns
    assert command(client, *options).code == 0
    assert shard.stat().st_mtime_ns == made and len(hub.large) == uploaded  # neither built nor sent again
    commits = len(hub.repos["me/twice"].commits)
    assert "nothing changed, no commit" in command(client, *options).out
    assert len(hub.repos["me/twice"].commits) == commits
    other = command(client, *options, "--resolution", 8)
    held = hub.repos["me/twice"].commits[hub.repos["me/twice"].resolve("main")]
    assert other.code == 0 and len([name for name in held if name.endswith(".parquet")]) == 1


def test_what_cannot_be_pushed_is_one_line(client, faces, tmp_path, capsys):
    cases = {
        ("--repo", "no-slash", *TERMS): "--repo: got no-slash, expected org/name",
        ("--repo", "me/x", "--license", "mit", "--photos-license", " "): "--photos-license: got nothing",
    }
    for options, message in cases.items():
        with pytest.raises(SystemExit) as ended:
            main(["push", str(faces), *options])
        assert ended.value.code == 2 and message in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(SystemExit):
        main(["push", str(faces), "--repo", "me/x", *TERMS, "--output", str(tmp_path / "mine"), "--dry-run"])
    assert "mine: exists already, and was not made by this command" in capsys.readouterr().err
    said = command(client, "push", faces, "--repo", "me/x", *TERMS, "--output", tmp_path / "hub", token="read")
    assert said.code == 1 and said.err.count("celebahq-data: ") == 1
    said = command(client, "push", faces, "--repo", "me/x", *TERMS, "--output", tmp_path / "hub", token=None)
    assert said.code == 2 and "got no token of the Hugging Face Hub here" in said.err
    said = command(client, "import", "me/nothing", "--output", tmp_path / "n.h5")
    assert said.code == 2 and said.err.count("celebahq-data: me/nothing: ") == 1
