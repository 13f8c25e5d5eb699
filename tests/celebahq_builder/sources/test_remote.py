"""Photos behind URLs, of a store that fails as networks do."""

import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError, BuildIncompleteError
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.sources import remote
from celebahq_builder.sources.listing import file_stamp, list_photos, read_photo

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "in-the-wild"
URL = "s3://photos/wild"


@pytest.fixture(autouse=True)
def no_faults(flaky):
    """Each test begins with a store that works."""


@pytest.fixture
def bucket(store):
    """Three photographs and what else lies about, put there anew."""
    for path in sorted(EXAMPLES.glob("*.jpg"))[:3]:
        store.upload_file(str(path), "photos", f"wild/a/{path.name}")
    for name in ("wild/notes.txt", "wild/.hidden/x.jpg", "wildlife/other.jpg"):
        store.put_object(Bucket="photos", Key=name, Body=b"something")
    yield store
    for item in store.list_objects_v2(Bucket="photos").get("Contents", []):
        store.delete_object(Bucket="photos", Key=item["Key"])


def names_in(client) -> list[str]:
    keys = [item["Key"] for item in client.list_objects_v2(Bucket="photos", Prefix="wild/a/")["Contents"]]
    return sorted(key.removeprefix("wild/") for key in keys)


def test_a_url_is_told_from_a_path_also_after_it_lost_a_slash(tmp_path, monkeypatch):
    assert remote.url_of("s3://bucket/a b") == remote.url_of(Path("s3://bucket/a b")) == "s3://bucket/a b"
    assert [remote.url_of(p) for p in ("photos", "/photos/s3:/x", "C:/photos", "s3:photos", Path())] == [""] * 5
    monkeypatch.chdir(tmp_path)
    Path("s3:/bucket").mkdir(parents=True)
    assert remote.url_of("s3://bucket") == ""  # a folder that is really called so


def test_photos_are_listed_in_order_and_read_as_they_are(bucket):
    listing = list_photos(Path(URL))
    assert listing.names == names_in(bucket) and len(listing.names) == 3
    assert listing.left_out == {".txt": 1}
    for name in listing.names:
        data = (EXAMPLES / Path(name).name).read_bytes()
        assert read_photo(Path(URL), name) == data and file_stamp(Path(URL), name).num_bytes == len(data)
    one = f"{URL}/{listing.names[0]}"
    name = Path(one).name
    assert list_photos(Path(one)).names == [name] and read_photo(Path(one), name) == (EXAMPLES / name).read_bytes()


def test_a_worker_that_listed_nothing_sees_the_stamp_that_the_listing_gave(bucket, monkeypatch):
    name = list_photos(Path(URL)).names[0]
    listed = file_stamp(Path(URL), name)
    monkeypatch.setattr(remote, "_listed", {})
    assert file_stamp(Path(URL), name) == listed
    bucket.put_object(Bucket="photos", Key=f"wild/{name}", Body=b"x" * listed.num_bytes)  # another photo of that size
    list_photos(Path(URL))
    assert file_stamp(Path(URL), name) != listed


def test_any_key_is_a_name_and_one_that_is_no_path_is_counted(bucket):
    names = [
        "a b.jpg",
        "a%20b.jpg",
        "100%.jpg",
        "A.jpg",
        "a.jpg",
        "\u00fc.jpg",
        "u\u0308.jpg",
        "\u65e5\u672c.jpg",
        "q?x=1.jpg",
    ]
    names += ["h#1.jpg", "star*.jpg", "br[1].jpg", "plus+.jpg", "amp&.jpg", "folder.jpg", "folder.jpg/inner.jpg"]
    for name in names:
        bucket.put_object(Bucket="photos", Key=f"odd/{name}", Body=name.encode())
    for key in ("odd/", "odd/sub/", "odd/.hidden.jpg", "odd//double.jpg"):
        bucket.put_object(Bucket="photos", Key=key, Body=b"")
    for url in ("s3://photos/odd", "s3://photos/odd/", "S3://photos/odd"):
        listing = list_photos(Path(url))
        assert listing.names == sorted(names)
        assert listing.left_out == {"of a name that is no path": 1}
        assert [read_photo(Path(url), name).decode() for name in listing.names] == listing.names


def test_resets_and_refusals_of_a_busy_store_pass_unseen(bucket, flaky):
    names = list_photos(Path(URL)).names
    flaky.faults.update({Path(name).name: 3 for name in names})
    for name in names:
        assert read_photo(Path(URL), name) == (EXAMPLES / Path(name).name).read_bytes()
    assert not any(flaky.faults.values())


def test_what_is_gone_is_asked_for_once_and_what_stays_away_is_given_up(bucket, flaky):
    name = list_photos(Path(URL)).names[0]
    flaky.faults[Path(name).name] = 1000
    with pytest.raises(UnusablePhotoError, match="could not be fetched: "):
        read_photo(Path(URL), name)
    flaky.faults.clear()
    flaky.asked.clear()
    with pytest.raises(UnusablePhotoError, match="could not be fetched: FileNotFoundError"):
        read_photo(Path(URL), "a/gone.jpg")
    assert flaky.asked["gone.jpg"] <= 2


@pytest.mark.slow
def test_a_build_from_a_store_is_the_build_from_a_folder_and_tries_again_what_it_could_not_fetch(
    bucket, tmp_path, flaky
):
    folder = tmp_path / "wild"
    (folder / "a").mkdir(parents=True)
    for name in names_in(bucket):
        shutil.copy(EXAMPLES / Path(name).name, folder / name)
    same = {"resolution": 16, "restore": "off"}
    build(BuildConfig(input=folder, output=tmp_path / "local.h5", workers=0, **same))

    name = names_in(bucket)[1]
    flaky.faults[Path(name).name] = 10_000
    config = BuildConfig(input=URL, output=tmp_path / "remote.h5", workers=1, **same)  # type: ignore[arg-type]
    with pytest.raises(BuildIncompleteError, match=r"1 of 3 photos failed \(1 could not be fetched\)"):
        build(config)
    flaky.faults.clear()
    result = build(config)
    assert result.num_faces == 3
    with open_dataset(tmp_path / "local.h5") as ours, open_dataset(tmp_path / "remote.h5") as theirs:
        assert (ours.read(16, range(3)) == theirs.read(16, range(3))).all()
        assert list(ours.faces["source_sha256"]) == list(theirs.faces["source_sha256"])
    assert f"--input {URL}" in config.command()


def test_a_url_of_a_file_keeps_its_three_slashes(tmp_path):
    assert remote.url_of(Path("file:///photos/a")) == "file:///photos/a"
    shutil.copy(EXAMPLES / "henner.jpg", tmp_path)
    assert list_photos(Path(f"file://{tmp_path}")).names == ["henner.jpg"]


@pytest.mark.parametrize("url", ["http://me:sEcret@127.0.0.1:9/x", "http://127.0.0.1:9/x?token=sEcret"])
def test_a_url_with_a_secret_is_refused_and_not_repeated(tmp_path, url):
    with pytest.raises(BuildError, match="expected neither") as error:
        build(BuildConfig(input=url, output=tmp_path / "x.h5"))
    assert "sEcret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://no-such-bucket/x", "got s3://no-such-bucket/x"),
        ("s3://photos/empty", "got no photo in s3://photos/empty"),
        ("nosuchscheme://host/x", "got nosuchscheme://host/x"),
        ("file:///no/such/folder", "got file:///no/such/folder (FileNotFoundError: "),
        ("memory://nothing", "got memory://nothing (FileNotFoundError"),
        ("http://127.0.0.1:9/x.jpg", "got http://127.0.0.1:9/x.jpg ("),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(store, tmp_path, url, words):
    with pytest.raises(BuildError) as error:
        build(BuildConfig(input=url, output=tmp_path / "x.h5"))
    assert words in str(error.value) and "\n" not in str(error.value) and "expected" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_credentials_are_asked_for_once_and_the_line_says_where_they_go():
    class NoCredentialsError(Exception):
        pass

    asked = []

    def ask():
        asked.append(1)
        raise NoCredentialsError("Unable to locate credentials")

    with pytest.raises(NoCredentialsError) as error:
        remote.patiently(ask)
    assert asked == [1]
    assert str(remote.remote_error("s3://b/x", error.value, "expected one that can be read")) == (
        "got s3://b/x (NoCredentialsError: Unable to locate credentials), expected one that can be read; "
        "docs/photos.md says where credentials go"
    )


def test_extra_is_named_for_the_packages_that_it_has():
    error = ImportError("Please install it")
    assert str(remote.remote_error("gs://b/x", error, "")).endswith("; pip install 'celebahq[cloud]'")
    assert str(remote.remote_error("sftp://h/x", error, "")).endswith("(Please install it); install it")


def test_listing_that_has_to_be_asked_for_again_says_so(bucket, flaky, logged):
    flaky.faults["photos"] = flaky.faults[""] = 2
    assert len(list_photos(Path(URL)).names) == 3
    assert [line.getMessage().partition(" (")[0].partition(": ")[0] for line in logged] == [URL]
    assert "asked again, 5 times in all" in logged[0].getMessage()


def test_page_of_links_is_listed(tmp_path):
    shutil.copy(EXAMPLES / "henner.jpg", tmp_path / "one.jpg")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert list_photos(Path(url)).names == list_photos(Path(f"{url}/one.jpg")).names == ["one.jpg"]
        assert read_photo(Path(url), "one.jpg") == (EXAMPLES / "henner.jpg").read_bytes()
        (tmp_path / "one.jpg").unlink()
        assert list_photos(Path(url)).names == [] and list_photos(Path(url)).left_out == {}
        server.shutdown()


def test_bucket_or_folder_is_no_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BuildError, match=r"--output: got s3://b, expected a file in it, as s3://b/celebahq\.h5"):
        BuildConfig(input=EXAMPLES, output="s3://b")  # type: ignore[arg-type]
    with pytest.raises(BuildError, match=r"got s3://b/sets, expected a file in it, as s3://b/sets/celebahq\.h5"):
        BuildConfig(input=EXAMPLES, output=Path("s3://b/sets/"))
    with pytest.raises(BuildError, match=r"--work: got w with --output x\.h5, expected a URL as --output"):
        BuildConfig(input=EXAMPLES, output="x.h5", work="w")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_command_that_writes_beside_its_dataset_is_told_the_line_that_fetches_a_url(
    tmp_path, monkeypatch, refusal, capsys
):
    (tmp_path / "store").mkdir()
    (tmp_path / "here").mkdir()
    for name in ("faces.h5", "faces-00000-of-00001.h5", "other.h5"):
        (tmp_path / "store" / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path / "here")
    found = refusal(capsys, "curate", "s3://b/f/faces.h5")
    assert found.startswith("s3://b/f/faces.h5: got a URL")
    line = found.partition("fetch it first: ")[2]
    assert line == """python -c "import fsspec; fsspec.filesystem('s3').get('b/f/faces*', '.')\""""
    line = line.replace("'s3'", "'file'").replace("b/f/", f"{tmp_path}/store/")
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)
    assert sorted(path.name for path in Path().iterdir()) == ["faces-00000-of-00001.h5", "faces.h5"]


def test_words_of_a_store_show_no_signature():
    error = OSError("403 for url 'https://cdn.example/a.jpg?X-Signature=secret&Expires=1', gone")
    assert remote.words_of(error) == "OSError: 403 for url 'https://cdn.example/a.jpg?...', gone"
