"""onnxruntime-web is taken from npm or a folder, and never unchecked."""

import os
import shutil

import pytest

from export.sample import UsageError
from export.web.runtime import BUILDS, FILES, VERSION, cached_runtime, copy_runtime


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A function that puts a shell script called npm first on the path, and an empty cache in place of the user's."""

    def npm(script):
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return npm


def left_behind(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_every_file_of_both_builds_is_copied_under_a_name_that_servers_know(runtime, tmp_path):
    copy_runtime(tmp_path, runtime)
    assert {path.name for path in tmp_path.iterdir()} == {name for build in BUILDS.values() for name in build.values()}
    assert {path.suffix for path in tmp_path.iterdir()} == {".js", ".wasm"}
    assert f"v{VERSION}" in (tmp_path / "ort-wasm.js").read_text()[:200]


def test_an_unpacked_package_is_taken_as_it_is(runtime, tmp_path):
    shutil.copytree(runtime, tmp_path / "package" / "dist")
    (tmp_path / "page").mkdir()
    copy_runtime(tmp_path / "page", tmp_path / "package")
    assert len(list((tmp_path / "page").iterdir())) == len(FILES)


def test_a_changed_or_missing_file_is_refused_and_named(runtime, tmp_path):
    source = shutil.copytree(runtime, tmp_path / "source")
    (tmp_path / "page").mkdir()
    with (source / "ort.wasm.min.mjs").open("a") as file:
        file.write("// one line more")
    with pytest.raises(UsageError, match=r"--runtime: .*ort\.wasm\.min\.mjs: is of another version, or damaged"):
        copy_runtime(tmp_path / "page", source)
    (source / "ort.wasm.min.mjs").unlink()
    with pytest.raises(UsageError, match=rf"ort\.wasm\.min\.mjs: No such file .* onnxruntime-web@{VERSION}"):
        copy_runtime(tmp_path / "page", source)


def test_a_package_that_is_not_the_published_one_is_not_unpacked(npm, tmp_path):
    npm('for last; do :; done; echo "not the package" > "$last/onnxruntime-web.tgz"')
    with pytest.raises(UsageError, match=f"onnxruntime-web@{VERSION}: got the integrity sha512-"):
        cached_runtime()
    assert left_behind(tmp_path) == []


def test_npm_that_fails_is_quoted_with_the_other_way(npm, tmp_path):
    npm("echo 'npm error ENOTFOUND' >&2; exit 1")
    with pytest.raises(UsageError, match=r"npm could not fetch it \(npm error ENOTFOUND\); .*--runtime"):
        cached_runtime()
    assert left_behind(tmp_path) == []


def test_without_npm_the_other_way_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="npm is not installed; expected npm and a network, or --runtime"):
        cached_runtime()
