"""Downloads from a local server on its bad days: each ends right or says what to do."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from zoo.catalog import Entry, Source
from zoo.download import download
from zoo.folder import ModelError
from zoo.remote import fetch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import HANGS, finish, wait_until  # noqa: E402

CONTENT = b"\x80\x02" + b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 64
"""The file that is downloaded: half a megabyte."""
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(faulty_server):
    faulty_server.content = CONTENT
    return faulty_server


@pytest.fixture
def entry(entry_of):
    """A function: addresses, and what is known of the file (its sha256 unless told) -> a catalogue entry."""

    def make(*urls: str, **known) -> Entry:
        return entry_of(
            *(Source(file="faces.pth", layout="ours", url=url, **known or {"sha256": SHA256}) for url in urls)
        )

    return make


@pytest.fixture
def refusal(entry):
    """A function: a download that fails -> the one line it ends with; nothing that looks like a checkpoint is left."""

    def refused(cache: Path, *urls: str, **known) -> str:
        with pytest.raises(ModelError) as error:
            download(entry(*urls, **known), cache)
        message = str(error.value)
        assert "\n" not in message
        assert not (cache / "downloads" / "faces-32.faulty" / "faces.pth").exists()
        return message

    return refused


PROCESS = """
import sys
from pathlib import Path
from types import SimpleNamespace
sys.path[:0] = [sys.argv[1]]
from zoo.catalog import Entry, Source
from zoo.download import download
source = Source(file="faces.pth", layout="ours", url=sys.argv[2], sha256=sys.argv[3])
empty = dict.fromkeys(["family", "publisher", "home", "license", "data_license", "quality", "citation"], "")
entry = Entry(name="faces-32.faulty", dataset="faces", resolution=32, origin=None, non_commercial=False,
              architecture=None, sources=(source,), **empty)
print(download(entry, Path(sys.argv[4])).sha256)
"""


# Bad days that end well.


@pytest.mark.parametrize(
    ("path", "requests"),
    [
        ("truncates", [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]),
        ("truncates-without-range", [None, "bytes=100000-"]),
        ("stalls", [None, "bytes=1000-"]),
        ("redirects", [None, None]),
        ("confirm", [None, None]),
        ("good", [None]),
    ],
)
def test_file_arrives_whole_and_what_came_is_not_asked_for_again(server, tmp_path, path, requests, entry):
    patience = {"timeout": 2.0} if path == "stalls" else {}  # of a busy machine, whose server takes its time
    checkpoint = download(entry(f"{server.url}/{path}"), tmp_path, **patience)
    assert checkpoint.path.read_bytes() == CONTENT
    assert checkpoint.sha256 == SHA256
    assert [wanted for _, _, wanted in server.requests] == requests
    assert not list(tmp_path.rglob("*.part*"))


def test_a_server_that_asks_for_a_second_is_given_it(server, tmp_path, monkeypatch, entry):
    waits = []
    monkeypatch.setattr(fetch, "time", SimpleNamespace(sleep=waits.append))  # its own alone: others sleep, too
    assert download(entry(f"{server.url}/busy"), tmp_path).sha256 == SHA256
    assert waits == [1.0]


def test_a_mirror_takes_over_where_the_first_source_fails(server, tmp_path, logged, entry):
    both = entry(f"{server.url}/gone", f"{server.url}/quota", f"{server.url}/good")
    assert download(both, tmp_path).source.url.endswith("/good")
    assert "404 Not Found" in "".join(logged)


def test_what_a_killed_process_had_is_continued(server, tmp_path, entry):
    part = tmp_path / "downloads" / "faces-32.faulty" / "faces.pth.part"
    command = [sys.executable, "-c", PROCESS, str(ROOT), f"{server.url}/stalls-far", SHA256, str(tmp_path)]
    process = subprocess.Popen(command)
    wait_until(lambda: part.exists() and part.stat().st_size == 123_456, process)
    process.kill()
    process.wait()
    assert download(entry(f"{server.url}/stalls-far"), tmp_path).path.read_bytes() == CONTENT
    assert [wanted for _, _, wanted in server.requests] == [None, "bytes=123456-"]


def test_a_part_that_was_damaged_is_thrown_away_and_the_file_fetched_once_more(server, tmp_path, entry):
    whole = entry(f"{server.url}/good")
    folder = tmp_path / "downloads" / "faces-32.faulty"
    folder.mkdir(parents=True)
    (folder / "faces.pth.part").write_bytes(b"\0" * 150_000)
    (folder / "faces.pth.part.json").write_text(json.dumps({"address": whole.sources[0].url, "etag": server.etag}))
    assert download(whole, tmp_path).path.read_bytes() == CONTENT
    assert [wanted for _, _, wanted in server.requests] == ["bytes=150000-", None]


def test_a_file_that_changes_under_way_is_not_patched_together(server, tmp_path, entry):
    checkpoint = download(entry(f"{server.url}/changes", size=len(CONTENT)), tmp_path)
    assert checkpoint.path.read_bytes() == CONTENT[::-1]  # the new one, all of it


# Bad days that end with a sentence.


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("truncates-for-ever", "the connection broke"),
        ("circle", "circle of redirects"),
        ("quota", "quota of downloads of this file is used up"),
        ("page", "a web page ('We have moved'), not a checkpoint"),
        ("busy-for-an-hour", "503 Service Unavailable, and it asks to be left alone for 60 minutes"),
        (
            "wrong",
            f"sha256 begins {hashlib.sha256(CONTENT[::-1]).hexdigest()[:8]}, expected {SHA256[:8]}",
        ),
        ("none", "404 Not Found"),
        ("leads-to-a-file", "file://"),
    ],
)
def test_refusal_says_why_which_file_is_wanted_and_where_to_put_it(server, tmp_path, path, said, refusal):
    message = refusal(tmp_path, f"{server.url}/{path}")
    assert said in message
    assert (
        f"expected faces.pth from {server.url}/{path} as {tmp_path / 'downloads' / 'faces-32.faulty' / 'faces.pth'}"
        in message
    )


def test_a_file_of_another_size_is_refused_before_it_is_fetched(server, tmp_path, refusal):
    assert "524,294 bytes, expected 524,290" in refusal(tmp_path, f"{server.url}/larger", size=len(CONTENT))


def test_a_file_without_end_is_given_up(server, tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(fetch, "MOST_BYTES", 1_000_000)
    assert "more than 1,000,000 bytes, no checkpoint is that large" in refusal(tmp_path, f"{server.url}/endless")


def test_a_machine_without_network_names_file_and_place(tmp_path, monkeypatch, refusal):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = refusal(tmp_path, "http://weights.invalid/faces.pth")
    assert "HF_HUB_OFFLINE is set" in message
    assert "expected faces.pth from http://weights.invalid/faces.pth as" in message


def test_a_proxy_is_used(server, tmp_path, monkeypatch, entry):
    monkeypatch.setenv("http_proxy", server.url)
    download(entry("http://weights.invalid/good"), tmp_path)
    assert server.requests == [("GET", "/good", None)]


def test_a_proxy_of_an_unknown_kind_is_said(tmp_path, monkeypatch, refusal):
    monkeypatch.setenv("https_proxy", "gopher://127.0.0.1:9")
    assert refusal(tmp_path, "https://weights.invalid/faces.pth").endswith("expected http://HOST:PORT")


# What is known of a file.


def test_published_prefix_is_enough_and_the_whole_hash_counts_from_then_on(server, tmp_path, entry):
    known = entry(f"{server.url}/good", sha256_prefix=SHA256[:8])
    path = download(known, tmp_path).path
    assert json.loads((path.parent / "faces.pth.json").read_text())["sha256"] == SHA256
    path.unlink()
    changed = entry(f"{server.url}/wrong", size=len(CONTENT))
    with pytest.raises(ModelError, match=f"expected {SHA256[:8]} as on first use"):
        download(changed, tmp_path)


def test_git_s_hash_of_a_file_is_checked(server, tmp_path, entry, refusal):
    git = subprocess.run(["git", "hash-object", "--stdin"], input=CONTENT, capture_output=True, check=True)
    blob = git.stdout.decode()[:8]
    assert download(entry(f"{server.url}/good", git_blob_prefix=blob), tmp_path / "right").sha256 == SHA256
    assert "git blob begins" in refusal(tmp_path / "wrong", f"{server.url}/good", git_blob_prefix="00000000")


def test_a_file_put_there_by_hand_is_taken_and_checked(tmp_path, entry):
    manual = replace(entry("x"), sources=(Source(file="faces.pth", layout="ours", manual="http://x/", sha256=SHA256),))
    with pytest.raises(ModelError, match=r"to be fetched by hand, expected faces\.pth from http://x/ as") as error:
        download(manual, tmp_path)
    place = Path(str(error.value).partition(" as ")[2])
    place.write_bytes(CONTENT)
    assert download(manual, tmp_path).path == place
    place.write_bytes(CONTENT[:1000])
    with pytest.raises(ModelError, match="another file, to be moved away"):
        download(manual, tmp_path)


# Two processes, and disks.


def test_two_processes_at_once_download_one_file_once(server, tmp_path):
    command = [sys.executable, "-c", PROCESS, str(ROOT), f"{server.url}/slow", SHA256, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    said = [finish(process) for process in processes]
    assert [out.strip() for out, _ in said] == [SHA256, SHA256], said
    assert server.count("/slow") == 1


@pytest.fixture
def small_disk(tmp_path) -> Iterator:
    """Mount a file system of 300 kB, and give a function that makes it read-only."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount the small disk that this test fills")
    try:
        yield place, lambda: subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_too_small_is_noticed_before_and_said(server, small_disk, refusal):
    cache, _ = small_disk
    message = refusal(cache, f"{server.url}/good")
    assert "1 MB to come, 0 MB free" in message
    assert "expected --cache or CELEBAHQ_ZOO_CACHE with a writable, roomy place" in message


def test_a_disk_that_fills_up_under_way_ends_with_a_sentence_too(server, small_disk, monkeypatch, refusal):
    cache, _ = small_disk
    monkeypatch.setattr(fetch, "_check_room", lambda *_: None)  # others write as well, so it cannot know
    assert "No space left on device" in refusal(cache, f"{server.url}/good")


def test_a_read_only_cache_is_read_and_never_written(server, small_disk, entry):
    cache, close = small_disk
    place = cache / "downloads" / "faces-32.faulty" / "faces.pth"
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT[:1000])
    close()
    here = entry(f"{server.url}/good", size=1000)
    assert download(here, cache).path == place
    with pytest.raises(ModelError, match=r"cannot be written \(Read-only file system\), expected --cache or CELEBAHQ"):
        download(replace(here, name="faces-64.faulty"), cache)


def test_threads_of_one_process_wait_for_each_other(server, tmp_path, entry):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(download(entry(f"{server.url}/slow"), tmp_path).sha256))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=HANGS)
    assert found == [SHA256, SHA256]
    assert server.count("/slow") == 1
