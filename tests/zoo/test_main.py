"""python -m zoo: what each subcommand prints, and how it ends."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo import weights
from zoo.__main__ import main
from zoo.progan import Generator, ProGANConfig

ROOT = Path(__file__).resolve().parents[2]
TINY = ProGANConfig(resolution=16, latent_size=8, fmap_base=32, fmap_max=8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Everything goes into a folder of the test; the working directory is one, too."""
    monkeypatch.setenv("CELEBAHQ_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def command(capsys):
    """A function: arguments -> (exit code, stdout, stderr)."""

    def run(*arguments):
        capsys.readouterr()
        try:
            main(list(map(str, arguments)))
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def trained(tmp_path):
    """A run folder with a published model, measured once."""
    folder = tmp_path / "runs" / "00000-faces" / "model"
    weights.save(Generator(TINY), folder, license={"weights": "CC0", "non_commercial": True}, training={"kimg": 5})
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    swd = {"values": {"16": 9.0, "average": 9.0}, "noise_floor": {"average": 2.0}, "model_sha256": sha256}
    swd |= {"num_images": 200, "num_reals": 100, "command": "python -m train.metrics --model faces"}
    swd |= {"dataset": {"file": "faces.h5", "faces": 300, "sha256_4x4": "3b77"}}
    (folder / "metrics.json").write_text(json.dumps({"swd": swd}))
    return folder


@pytest.fixture
def foreign(real_data):
    """A checkpoint of another program, with a discriminator."""
    return real_data / "zoo_vectors" / "mmgen_128_narrow.pth"


def test_list_shows_what_ships_what_was_trained_here_what_is_cached_and_the_catalogue(command, trained, cache):
    weights.save(Generator(TINY), cache / "models" / "celebahq-256.gan_zoo")
    code, out, _ = command("list")
    assert code == 0
    ships, here, cached, catalogue = out.split("\n\n")
    assert ships.startswith("Shipped with the package")
    assert (
        "00000-faces" in here and "generator 16x16, CC0, non-commercial use only; SWD x 1e3 9 (noise floor 2)" in here
    )
    assert "celebahq-256.gan_zoo" in cached
    assert len(catalogue.splitlines()) == 1 + 93
    assert "celebahq-256.gan_zoo" in catalogue and "in the cache" in catalogue


def test_list_with_words_shows_only_those(command):
    _, out, _ = command("list", "lsun-cat", "metfaces")
    names = [line.split()[0] for line in out.split("Catalogue")[1].splitlines()[1:]]
    assert names == ["lsun-cat-256", "lsun-cat-256.genforce", "metfaces-1024.akanimax"]


def test_show_gives_table_license_sources_and_their_state_without_a_download(command):
    code, out, _ = command("show", "celebahq-256.gan_zoo")
    assert code == 0
    assert "license of the weights: not stated (the program: BSD-3-Clause)" in out
    assert "hash sha256 6196db68, address unchecked" in out
    assert "not in the cache: python -m zoo pull celebahq-256.gan_zoo" in out
    _, out, _ = command("show", "celebahq-1024")
    assert out.splitlines()[-1].split() == ["Total", "trainable", "parameters", "23.1M"]


def test_show_of_a_run_gives_its_metrics_and_its_layers(command, trained):
    _, out, _ = command("show", trained.parent)
    assert "of: 200 images; 100 reals; data faces.h5, 300 faces, sha256 of its 4x4 level 3b77" in out
    assert "by: python -m train.metrics --model faces" in out
    assert "license of the weights: CC0, non-commercial use only" in out
    assert "training: kimg 5" in out
    assert "model: 16 9, average 9" in out and "noise floor: average 2" in out
    rows = [line for line in out.splitlines() if line.startswith(("Conv", "Upsample"))]
    assert len(rows) == 2 + 3 * 2 + 1


def test_every_shipped_model_can_be_shown_and_verified(command):
    for name in zoo.locate.shipped():
        code, out, _ = command("show", name)
        assert code == 0 and ("    changed at 36.528 kimg: learning_rate from 0.002 to 0.003, gp_" in out) == (
            name == "faces-64"
        )
        assert command("verify", name)[0] == 0, name


def test_import_makes_a_folder_that_loads_verifies_and_shows_itself(command, foreign, tmp_path):
    code, out, err = command("import", foreign)
    folder = tmp_path / "mmgen_128_narrow"
    assert code == 0 and out.endswith("imported as mmgen_128_narrow\n")
    assert "its license is not known" in err
    vectors = np.load(foreign.with_suffix(".npz"))
    images = zoo.load(folder)(torch.from_numpy(vectors["z"]))
    np.testing.assert_allclose(images.numpy(), vectors["images"], rtol=0, atol=1e-4)
    with Image.open(folder / "samples.png") as sheet:
        assert sheet.size == (4 * 128, 4 * 128)
    code, out, _ = command("verify", folder)
    assert code == 0 and out.count("ok ") == len(out.splitlines()) >= 6
    _, out, _ = command("show", folder)
    assert "imported from: mmgen_128_narrow.pth, layout mmgen\n" in out and "Discriminator" in out
    assert f"sha256 of the file: {hashlib.sha256(foreign.read_bytes()).hexdigest()}\n" in out
    assert "\n    trained on BGR, turned to RGB\n" in out
    assert f"samples: {folder / 'samples.png'}" in out


def test_an_import_that_cannot_be_written_names_its_output(command, foreign, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = command("import", foreign, "--output", "file/model")
    assert code == 2
    assert "python -m zoo: file/model: cannot be written (File exists), expected another --output\n" in err


def test_what_a_model_says_of_itself_does_not_reach_the_terminal_as_commands(command, trained):
    config = json.loads((trained / "config.json").read_text())
    (trained / "config.json").write_text(json.dumps(config | {"training": "\x1b]0;mine\x07", "dataset": "\ud800"}))
    for arguments in (("show", trained), ("list",)):
        code, out, _ = command(*arguments)
        assert code == 0 and "\x1b" not in out and "\x07" not in out
    out.encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"architecture": {"\x1b[2J": 1}},
        {"class": "\x1b[2J"},
        {"imported": {"file": "\x1b[2J", "file_sha256": "ab" * 32, "notes": ["\x1b[2J"]}},
        {"license": "\x1b[2J", "citation": "\x9b2J", "source": "\x1b[2J"},
        {"label_names": ["\x1b[2J"]},
    ],
)
def test_no_command_prints_what_a_terminal_obeys(command, trained, changed):
    config = json.loads((trained / "config.json").read_text())
    (trained / "config.json").write_text(json.dumps(config | changed))
    for arguments in (("show", trained), ("list",), ("verify", trained), ("pull", trained)):
        _, out, err = command(*arguments)
        assert not {"\x1b", "\x9b"} & set(out + err), arguments
        assert "Traceback" not in err


def test_the_first_sample_is_seed_0(command, foreign, tmp_path):
    command("import", foreign)
    generator = zoo.load(tmp_path / "mmgen_128_narrow")
    z = torch.from_numpy(np.random.RandomState(0).randn(1, generator.config.latent_size).astype(np.float32))
    wanted = (generator(z)[0].permute(1, 2, 0).clamp(-1, 1).numpy() + 1) * 127.5
    with Image.open(tmp_path / "mmgen_128_narrow" / "samples.png") as sheet:
        np.testing.assert_allclose(np.asarray(sheet)[:128, :128], wanted, atol=0.51)


def test_import_once_more_leaves_it_alone_and_never_mixes_files(command, foreign, real_data):
    command("import", foreign, "--output", "faces")
    made = Path("faces/model.safetensors").stat().st_mtime_ns
    assert command("import", foreign, "--output", "faces")[0] == 0
    assert Path("faces/model.safetensors").stat().st_mtime_ns == made
    other = real_data / "zoo_vectors" / "gandissect_64.pth"
    code, _, err = command("import", other, "--output", "faces")
    assert code == 2
    assert err.endswith(
        "got no import of gandissect_64.pth there, expected one; give another --output or --overwrite\n"
    )
    Path("faces/mine.txt").write_text("mine")
    assert command("import", other, "--output", "faces", "--overwrite")[0] == 0
    assert not Path("faces/discriminator.safetensors").exists()  # gandissect's file has none: no mixture
    assert Path("faces/mine.txt").read_text() == "mine"
    assert command("verify", "faces")[0] == 0
    assert [path.name for path in Path().glob(".faces*")] == []


def test_a_label_that_the_file_does_not_tell_is_an_option(command, tmp_path):
    random = torch.Generator().manual_seed(0)
    shapes = {"layer0": (8, 11, 4, 4), "layer1": (8, 8, 3, 3), "output0": (3, 8, 1, 1)}
    tensors = {f"{name}.weight": torch.randn(shape, generator=random) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    torch.save(tensors | {"lod": torch.tensor(0.0)}, "alone.pth")
    code, _, err = command("import", "alone.pth", "--output", "plain")
    assert code == 0 and "read as unconditional (--label-size says else)" in err
    assert command("import", "alone.pth", "--output", "labelled", "--label-size", 3)[0] == 0
    assert command("import", "alone.pth", "--output", "labelled", "--label-size", 3)[0] == 0
    assert (zoo.load("labelled").config.label_size, zoo.load("plain").config.label_size) == (3, 0)
    code, _, err = command("import", "alone.pth", "--output", "plain", "--label-size", 3)
    assert code == 2
    assert "plain: got an import with a label of 0, expected 3 as of --label-size" in err
    code, _, err = command("import", "alone.pth", "--output", "other", "--label-size", 11)
    assert code == 2 and "label_size: got 11, expected fewer than the 11 numbers" in err
    assert command("import", "alone.pth", "--output", "other", "--label-size", -1)[0] == 2


def test_overwrite_replaces_models_and_nothing_else(command, foreign):
    Path("photos").mkdir()
    Path("photos/cat.jpg").write_bytes(b"cat")
    code, _, err = command("import", foreign, "--output", "photos", "--overwrite")
    assert code == 2 and "photos: got no model folder, expected one to --overwrite" in err
    assert Path("photos/cat.jpg").exists()


def test_license_comes_with_the_name_where_the_network_is_of_that_size(command, real_data):
    vectors = real_data / "zoo_vectors" / "gandissect_64.pth"
    Path("bedroom_lsun.pth").write_bytes(vectors.read_bytes())  # the name of a network for 256x256
    _, _, err = command("import", "bedroom_lsun.pth")
    assert "its license is not known" in err
    assert json.loads(Path("bedroom_lsun/config.json").read_text())["license"]["weights"] == "unknown"


def test_a_download_of_another_size_is_not_taken_for_the_model(command, real_data, cache):
    place = cache / "downloads" / "lsun-bedroom-256.gandissect" / "bedroom_lsun.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes((real_data / "zoo_vectors" / "gandissect_64.pth").read_bytes())
    code, _, err = command("pull", "lsun-bedroom-256.gandissect")
    assert code == 2 and "got 64x64, expected 256x256 as of lsun-bedroom-256.gandissect" in err
    assert not (cache / "models" / "lsun-bedroom-256.gandissect").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "celebahq1024"), "did you mean celebahq-1024"),
        (("import", "nothing.pth"), "nothing.pth: got nothing, expected a checkpoint file"),
        (("import", "."), "a folder, expected a checkpoint file"),
        (("import", "page.pth"), "page.pth: a web page or other text, not a checkpoint"),
        (("pull", "celeba-128.tfhub"), "celeba-128.tfhub: nothing here reads it"),
        (("verify", "celebahq-1024"), "not in the cache, run python -m zoo pull celebahq-1024 first"),
        (("import", "pipe"), "pipe: got no file, expected a checkpoint file"),
        (("pull",), "NAME: got none, expected a name of python -m zoo list"),
        (("show", "x" * 5000), "File name too long"),
        (("verify",), "MODEL: got none, expected a model (or --online)"),
        (("verify", "nothing", "--online"), "nothing: not in the catalogue"),
    ],
)
def test_a_user_s_mistake_is_one_line_and_exit_code_2(command, tmp_path, arguments, said):
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    os.mkfifo(tmp_path / "pipe")
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("python -m zoo: ") and err.count("\n") == 1 and said in err


def test_verify_of_a_changed_model_ends_with_1_and_record_makes_it_the_one_that_counts(command, trained):
    assert "nothing to compare with" in command("verify", trained)[1]
    assert command("verify", trained, "--record")[0] == 0
    weights.save(Generator(TINY), trained)
    code, out, _ = command("verify", trained)
    assert code == 1 and "WRONG model.safetensors: sha256" in out
    assert command("verify", trained, "--record")[0] == 0


def test_no_address_is_asked_where_connections_are_forbidden(command, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = command("verify", "--online")
    assert code == 2 and "HF_HUB_OFFLINE" in err


def test_help_list_and_a_name_that_is_not_there_import_no_torch():
    program = (
        "import sys\nfrom zoo.__main__ import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    for arguments in (["--help"], ["show", "nothing"], ["list"], ["list", "--markdown"]):
        subprocess.run(
            [sys.executable, "-c", program, *arguments], check=True, cwd=ROOT, capture_output=True, timeout=600
        )


def test_a_reader_that_has_seen_enough_is_no_error():
    process = subprocess.run(
        [f"{sys.executable} -m zoo list --markdown | head -n 1"], shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert process.stdout == "# Published weights\n" and process.stderr == ""
