"""The web command: what it writes, and what it refuses."""

import json
import re

import numpy as np
import pytest

from export.__main__ import main, run
from export.sample import latents, load_onnx


def refused(capsys, *arguments) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as error:
        main(["web", *map(str, arguments)])
    assert error.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("python -m export: ")
    return message


def test_a_model_folder_becomes_a_page_of_the_wanted_resolution(model, runtime, tmp_path, capsys):
    output = tmp_path / "page"
    arguments = ["--model", model, "--output", output, "--runtime", runtime, "--resolution", 8, "--directions", 2]
    run(["web", *map(str, arguments)])
    assert "8x8" in capsys.readouterr().out
    facts = json.loads((output / "page.json").read_text())
    assert (facts["resolution"], facts["latent_size"], facts["directions"]) == (8, 32, 2)
    assert facts["files"] == {name: (output / name).stat().st_size for name in facts["files"]}
    generator = load_onnx(output / "model.onnx", "cpu")
    references = np.fromfile(output / "references.bin", np.uint8).reshape(3, 8, 8, 3)
    np.testing.assert_array_equal(references[:2], generator.uint8_images(latents([0, 1], 32)))
    np.testing.assert_array_equal(references[2], generator.uint8_images(np.zeros((1, 32), np.float32))[0])
    assert list(tmp_path.iterdir()) == [output]


def test_a_generator_above_256_is_exported_at_256_with_a_message(save_model, runtime, tmp_path, capsys):
    folder = save_model(tmp_path / "model", resolution=512, fmap_base=64, fmap_max=4)
    output = tmp_path / "page"
    arguments = ["--model", folder, "--runtime", runtime, "--directions", 0]
    with pytest.raises(SystemExit, match="0"):
        main(["web", *map(str, arguments), "--output", str(output)])
    assert "a generator of 512x512, exported at 256x256" in capsys.readouterr().err
    assert json.loads((output / "page.json").read_text())["resolution"] == 256
    message = refused(capsys, *arguments, "--output", tmp_path / "other", "--resolution", 512)
    assert "--resolution: got 512, expected at most 256" in message
    assert not (tmp_path / "other").exists()


def test_no_file_of_ours_names_another_server(page_folder):
    for path in sorted(page_folder.iterdir()):
        if path.suffix in (".html", ".css", ".js", ".json"):
            assert not re.findall(r"https?://(?!localhost:)[^\s\"'<]*", path.read_text()), path.name
    policy = re.search(r'content="(default-src[^"]*)"', (page_folder / "index.html").read_text())[1]
    assert policy.startswith("default-src 'none';") and "*" not in policy and "http" not in policy
    assert "'unsafe-inline'" not in policy and "'unsafe-eval'" not in policy


def test_page_tells_the_license_and_keeps_words_words(page_folder):
    html = (page_folder / "index.html").read_text()
    assert "<title>Faces &amp; &lt;friends&gt;</title>" in html
    assert "License of the model: CC-BY-NC-4.0 (weights), not for commercial use." in html


def test_what_is_there_is_kept(onnx_file, page_folder, runtime, tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    arguments = ["--model", onnx_file, "--runtime", runtime]
    assert "is there and no page" in refused(capsys, *arguments, "--output", tmp_path / "notes")
    assert "is there and no page" in refused(capsys, *arguments, "--output", tmp_path / "notes", "--overwrite")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
    assert "is a page already" in refused(capsys, *arguments, "--output", page_folder)


def test_a_page_is_replaced_when_asked(onnx_file, runtime, tmp_path):
    arguments = ["web", "--model", str(onnx_file), "--runtime", str(runtime), "--output", str(tmp_path / "page")]
    run([*arguments, "--directions", "0"])
    (tmp_path / "page" / "CNAME").write_text("faces.example.org")
    (tmp_path / "page" / "runtime" / "left.js").touch()  # of another version
    run([*arguments, "--directions", "0", "--title", "New", "--overwrite"])
    assert (tmp_path / "page" / "CNAME").read_text() == "faces.example.org"
    assert not (tmp_path / "page" / "runtime" / "left.js").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    assert "<title>New</title>" in (tmp_path / "page" / "index.html").read_text()


def test_what_cannot_be_used_leaves_nothing(onnx_file, runtime, tmp_path, capsys):
    output = tmp_path / "page"
    arguments = ["--output", output, "--runtime", runtime]
    assert "at most 32 of this model" in refused(capsys, *arguments, "--model", onnx_file, "--directions", 33)
    assert "expected at least 0" in refused(capsys, *arguments, "--model", onnx_file, "--directions", -1)
    assert "expected a model folder" in refused(capsys, *arguments, "--model", onnx_file, "--resolution", 8)
    assert "nothing" in refused(capsys, *arguments, "--model", tmp_path / "nothing")
    assert "--runtime" in refused(capsys, "--output", output, "--runtime", tmp_path, "--model", onnx_file)
    assert list(tmp_path.iterdir()) == []
