"""Publishing with the real huggingface_hub against a Hub on the loopback interface."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SENT = {"README.md", "config.json", "metrics.json", "model.onnx", "model.safetensors", "sample.py", "samples.png",
        "training.json"}  # fmt: skip


def held(hub, repo, revision="main"):
    """What the Hub holds: path -> bytes."""
    repository = hub.repos[repo]
    return repository.commits[repository.resolve(revision)]


def test_dry_run_asks_the_hub_nothing_and_shows_tree_and_card(hub, client, built):
    folder, said = built
    before = len(hub.requests)
    again = client.export("hub", "--model", folder, "--repo", "me/dry", "--dry-run", token=None)
    assert again.code == 0 and len(hub.requests) == before and "me/dry" not in hub.repos
    assert all(name in said.out for name in SENT) and (folder / "README.md").read_text().strip() in said.out
    assert said.out.endswith(f"dry run: nothing was sent; {folder} is kept\n")


def test_a_push_from_python_returns_what_it_sent_and_prints_nothing(hub, client, trained, tmp_path):
    options = f"model={str(trained)!r}, repo='me/python', license='cc-by-nc-4.0', output={str(tmp_path / 'folder')!r}"
    show = "dict(sent=r.files, kept=str(r.folder), commit=r.commit, new=r.changed, pull=r.pull_request, load=r.model)"
    code = f"""
import logging, os, sys
os.environ["HF_TOKEN"] = "write"
logging.getLogger("celebahq").handlers.clear()  # those of commands that this process has run
from export.hub.config import HubConfig
from export.hub.to_hub import push_to_hub
for more in ({{"dry_run": True}}, {{"tag": "v2"}}, {{"tag": "v2"}}):
    r = push_to_hub(HubConfig({options}, **more))
    print({show}, file=sys.stderr)
"""
    ran = client.run(code)
    assert ran.code == 0 and ran.out == "", ran
    dry, first, again = map(ast.literal_eval, [line for line in ran.err.splitlines() if line.startswith("{")])
    assert set(dry["sent"]) == SENT and dry["kept"] == str(tmp_path / "folder")
    assert (dry["commit"], dry["new"], dry["load"]) == (None, False, None)
    assert first["commit"] == hub.repos["me/python"].branches["main"] == again["commit"]
    assert (first["new"], again["new"], first["pull"]) == (True, False, None)
    assert first["load"] == "me/python@v2"


def test_a_push_is_one_commit_of_the_folder_that_was_shown(hub, push):
    (push.output / "my-notes.txt").write_text("not for everybody")
    said = push("me/one")
    assert said.code == 0, said.err
    assert hub.repos["me/one"].messages == ["initial commit", "ProGAN generator, 16x16, 1234.5 kimg"]
    files = held(hub, "me/one")
    assert set(files) == SENT | {".gitattributes"}
    assert all(files[name] == (push.output / name).read_bytes() for name in SENT)
    assert 'zoo.load("me/one") loads it' in said.out


def test_an_unchanged_push_makes_no_commit_even_built_from_scratch(hub, client, trained, push):
    first = push("me/twice")
    commits = len(hub.repos["me/twice"].commits)
    again = client.export("hub", "--model", trained, "--repo", "me/twice", "--license", "cc-by-nc-4.0")
    assert (first.code, again.code) == (0, 0) and len(hub.repos["me/twice"].commits) == commits == 2
    assert "nothing changed since" in again.out and "no commit" in again.out


def test_tags_name_the_commit_once(hub, push):
    assert push("me/tags", "--tag", "v1").code == 0
    assert hub.repos["me/tags"].tags == {"v1": hub.repos["me/tags"].branches["main"]}
    assert push("me/tags", "--tag", "v1").code == 0  # the same again is no mistake
    hub.repos["me/tags"].commit("main", {"README.md": b"---\nlicense: mit\n---\nchanged"}, "an edit")
    refused = push("me/tags", "--tag", "v1")
    assert refused.code == 2 and refused.refusal.startswith("--tag: got v1, which names ")
    assert len(hub.repos["me/tags"].commits) == 3


def test_a_push_that_would_move_a_tag_says_that_it_did_not(hub, push):
    assert push("me/moved", "--tag", "v1").code == 0
    first = hub.repos["me/moved"].tags["v1"]
    (push.output / "README.md").write_text("# By hand\n")
    refused = push("me/moved", "--tag", "v1")
    assert refused.code == 1 and "expected another name" in refused.refusal
    assert hub.repos["me/moved"].tags == {"v1": first} and hub.repos["me/moved"].branches["main"] != first


def test_a_pull_request_leaves_the_branch_alone(hub, push):
    hub.add("team/model", {"config.json": b"{}"})
    said = push("team/model", "--pr")
    assert said.code == 0 and "pull request" in said.out and f"{hub.url}/" in said.out
    assert held(hub, "team/model") == {"config.json": b"{}"}
    assert set(held(hub, "team/model", "refs/pr/1")) == SENT


def test_a_branch_is_made_and_changed_alone(hub, push):
    assert push("me/branches").code == 0
    (push.output / "README.md").write_text("# Of the branch\n")
    assert push("me/branches", "--revision", "experiment").code == 0
    assert held(hub, "me/branches", "experiment")["README.md"].endswith(b"# Of the branch\n")
    assert b"Of the branch" not in held(hub, "me/branches")["README.md"]


def test_private_makes_a_new_repository_private_and_says_so_of_an_old_one(hub, push):
    assert push("me/hidden", "--private").code == 0 and hub.repos["me/hidden"].private
    assert push("me/open").code == 0
    said = push("me/open", "--private")
    assert "already there and public" in said.out and not hub.repos["me/open"].private


def test_a_card_edited_on_the_hub_is_kept_and_its_metadata_filled_in(hub, push):
    assert push("me/edited").code == 0
    mine = b"---\nlicense: mit\ntags:\n- mine\n---\n# By hand\n\nMore about it.\n"
    hub.repos["me/edited"].commit("main", {"README.md": mine}, "on the web")
    (push.output / "README.md").unlink()
    said = push("me/edited")
    card = held(hub, "me/edited")["README.md"]
    assert said.code == 0 and "the Hub holds one that somebody edited" in said.err
    assert card.startswith(b"---\nlicense: mit\ntags:\n- mine\nlibrary_name: celebahq\n")
    assert card.endswith(b"---\n# By hand\n\nMore about it.\n") and b"license_name" not in card
    assert push("me/edited", "--overwrite-card").code == 0
    assert b"By hand" not in held(hub, "me/edited")["README.md"]


def test_a_card_that_the_hub_refuses_is_one_line_before_anything_is_sent(hub, push):
    (push.output / "README.md").write_text("---\nlicense: my own\n---\n# By hand\n")
    refused = push("me/refused")
    assert refused.code == 1 and "Invalid metadata in README.md" in refused.refusal and "license" in refused.refusal
    assert len(hub.repos["me/refused"].commits) == 1


def test_the_card_passes_the_clients_own_validation(client, built):
    code = f"from huggingface_hub import ModelCard\nModelCard.load({str(built[0] / 'README.md')!r}).validate()"
    assert client.run(code).code == 0
    broken = client.run(code.replace("ModelCard.load", "(lambda p: ModelCard(open(p).read().replace('cc-by', 'xx')))"))
    assert broken.code == 99 and '"license" must be one of' in broken.err


def test_the_cards_three_lines_and_its_shell_commands_run_as_they_stand(hub, client, push, tmp_path):
    assert push("me/lines").code == 0
    card = held(hub, "me/lines")["README.md"].decode()
    python = card.split("```python\n")[1].split("```")[0]
    shown = client.run(python + "\nprint(tuple(images.shape), images.isfinite().all().item())")
    assert len(python.splitlines()) == 3 and shown.out == "(4, 3, 16, 16) True\n", shown.err

    shell = card.split("```bash\n")[1].split("```")[0].splitlines()
    assert shell[0].startswith("pip install")
    path = f"{Path(sys.executable).parent}:{client.environment['PATH']}"
    environment = {**client.environment, "PATH": path, "PYTHONPATH": ""}
    subprocess.run("\n".join(["set -e", *shell[1:]]), shell=True, check=True, cwd=tmp_path, env=environment)
    assert (tmp_path / "lines" / "grid.png").stat().st_size > 1000


def test_another_hub_is_not_asked_for_xet_and_the_command_says_so(hub, push, built):
    assert importlib.util.find_spec("hf_xet"), "without it the client would not try"
    assert push("me/xet").code == 0 and not [r for r in hub.requests if "xet-write-token" in r]
    assert "is not huggingface.co: large files go by Git LFS, not Xet" in built[1].err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--repo", "progan"), "--repo: got 'progan', expected org/name of letters"),
        (("--repo", "a/b", "--pr", "--tag", "v1"), "--tag: got it with --pr"),
        (("--repo", "a/b", "--tag", "two words"), "--tag: got 'two words', expected a name of"),
        (("--repo", "a/new", "--pr", "--license", "mit"), "--pr: got a/new, which is not there"),
        (("--repo", "a/b", "--model", "nowhere"), "nowhere: not there"),
    ],
)
def test_options_that_cannot_be_are_one_line(client, trained, options, message):
    model = () if "--model" in options else ("--model", trained)
    refused = client.export("hub", *model, *options)
    assert refused.code == 2 and refused.refusal.startswith(message)


def test_nothing_is_published_under_a_license_that_nobody_chose(hub, client, trained, built):
    refused = client.export("hub", "--model", trained, "--repo", "me/unknown")
    assert refused.code == 2 and refused.refusal.startswith(f"--license: got none, and {trained} states none")
    assert "me/unknown" not in hub.repos
