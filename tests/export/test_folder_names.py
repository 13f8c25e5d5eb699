"""What is to be a folder and is called like a file is refused, and no folder of that name is made."""

import pytest

from export.__main__ import main as export
from zoo.__main__ import main as zoo

COMMANDS = {
    "images": ("export", ["images", "--model", "faces-32", "--output"]),
    "web": ("export", ["web", "--model", "faces-32", "--output"]),
    "hub": ("export", ["hub", "--model", "faces-32", "--repo", "me/faces", "--dry-run", "--output"]),
    "demo": ("export", ["demo", "--model", "faces-32", "--space"]),
    "import": ("zoo", ["import", "faces.pth", "--output"]),
}


@pytest.mark.parametrize("name", ["page.html", "faces.zip", "faces.onnx", "-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_is_called_like_a_file_is_refused(tmp_path, monkeypatch, capsys, command, name):
    monkeypatch.chdir(tmp_path)
    package, arguments = COMMANDS[command]
    with pytest.raises(SystemExit) as end:
        {"export": export, "zoo": zoo}[package]([*arguments, name])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"python -m {package}: {arguments[-1]}: got ") and said.count("\n") == 1
    assert "expected" in said and "folder" in said
    assert not list(tmp_path.iterdir())
