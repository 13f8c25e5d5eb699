"""Files of published weights: what is read, what is refused and in which words, and fetching."""

import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from train.metrics import inception as module
from train.metrics.errors import MetricError
from train.metrics.inception import Inception, InceptionFeatures, load_inception
from train.metrics.pretrained_file import PretrainedFile, find, read_tensors


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    return Inception().eval()


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def as_known(monkeypatch, path) -> None:
    """Take this file for the published one."""
    monkeypatch.setattr(module, "INCEPTION_FILE", PretrainedFile(path.name, sha256(path)[:8], path.as_uri()))


def test_usual_file_loads_with_and_without_counters(network, tmp_path, monkeypatch):
    for keep in (True, False):
        path = tmp_path / f"weights-{keep}.pth"
        torch.save({k: v for k, v in network.state_dict().items() if keep or not k.endswith("_tracked")}, path)
        as_known(monkeypatch, path)
        loaded, found = load_inception(path)
        assert found == sha256(path)
        assert torch.equal(loaded.Mixed_7c.branch_pool.conv.weight, network.Mixed_7c.branch_pool.conv.weight)


def test_another_file_is_refused_by_its_hash(tmp_path):
    path = tmp_path / "mine.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(MetricError) as refusal:
        load_inception(path)
    assert str(refusal.value) == (
        f"{path}: got sha256 {sha256(path)[:8]}, expected pt_inception-2015-12-05-6726825d.pth (sha256 6726825d...)"
    )


class Malicious:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path, monkeypatch):
    path, trace = tmp_path / "evil.pth", tmp_path / "it-ran"
    path.write_bytes(pickle.dumps(Malicious(trace), protocol=2))
    as_known(monkeypatch, path)
    with pytest.raises(MetricError, match=r"evil.pth: got no file of tensors alone, .* nothing of it was run"):
        load_inception(path)
    torch.save({"fc.weight": Malicious(trace)}, path)
    as_known(monkeypatch, path)
    with pytest.raises(MetricError, match=r"got no file of tensors alone"):
        load_inception(path)
    assert not trace.exists()
    with pytest.raises(FileExistsError):  # that it would have run: both refusals above were of something
        pickle.loads(pickle.dumps(Malicious(tmp_path)))


def test_a_truncated_file_is_refused(tmp_path, monkeypatch):
    tensors = {"weight": torch.zeros(300_000)}
    cut = tmp_path / "cut.safetensors"
    save_file(tensors, cut)
    cut.write_bytes(cut.read_bytes()[:1_000_000])
    with pytest.raises(MetricError, match=r"cut.safetensors: cannot be read as safetensors .*damaged or incomplete"):
        load_inception(cut)
    path = tmp_path / "cut.pth"
    torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:1_000_000])
    as_known(monkeypatch, path)
    with pytest.raises(MetricError, match=r"cut.pth: got no file of tensors alone"):
        load_inception(path)


def test_a_table_of_other_things_is_refused(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([1, 2], path)
    with pytest.raises(MetricError, match=r"list.pth: got no table of tensors"):
        read_tensors(path, [PretrainedFile("list.pth", sha256(path)[:8], "")])


def test_another_network_is_refused_by_name_and_shape(network, tmp_path):
    path = tmp_path / "torchvision.safetensors"
    save_file(network.state_dict() | {"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(MetricError, match=r"fc.weight: got \(1000, 2048\), expected \(1008, 2048\)"):
        load_inception(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(MetricError, match=r"got none, expected \(.*\): not the network of pt_inception"):
        load_inception(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(MetricError, match=r"nowhere.pth: no such file or directory, expected pt_inception-2015"):
        load_inception(tmp_path / "nowhere.pth")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder that fetched weights go to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "celebahq" / "weights"


def test_without_a_file_it_is_fetched_once_and_kept(network, tmp_path, monkeypatch, cache, faulty_server):
    source = tmp_path / "published.pth"
    torch.save(network.state_dict(), source)
    faulty_server.content = source.read_bytes()
    known = PretrainedFile(source.name, sha256(source)[:8], f"{faulty_server.url}/good")
    monkeypatch.setattr(module, "INCEPTION_FILE", known)
    first = InceptionFeatures()
    assert (cache / "published.pth").read_bytes() == source.read_bytes()
    assert InceptionFeatures().sha256 == first.sha256 == sha256(source)
    assert faulty_server.count("/good") == 1


def test_what_was_fetched_with_another_hash_is_not_kept(cache, faulty_server):
    faulty_server.content = b"another file"
    with pytest.raises(MetricError, match=r"w.pth: .*\(got sha256 .{8}, expected 01234567\)"):
        find(PretrainedFile("w.pth", "01234567", f"{faulty_server.url}/good"), "--inception")
    assert not (cache / "w.pth").exists() and not (cache / "w.pth.part").exists()


def test_a_web_page_instead_of_the_file_is_called_one(cache, faulty_server):
    with pytest.raises(MetricError, match=r"w.pth: .* web page"):
        find(PretrainedFile("w.pth", "01234567", f"{faulty_server.url}/page"), "--inception")
    assert not (cache / "w.pth").exists()


def test_a_transfer_that_breaks_off_is_continued(cache, faulty_server):
    faulty_server.content = bytes(range(256)) * 2000
    wanted = hashlib.sha256(faulty_server.content).hexdigest()
    path = find(PretrainedFile("w.pth", wanted[:8], f"{faulty_server.url}/truncates"), "--inception")
    assert path.read_bytes() == faulty_server.content
    assert [begin for _, _, begin in faulty_server.requests] == [None, *(f"bytes={n}00000-" for n in (1, 2, 3))]


def test_a_part_of_another_version_of_the_file_is_begun_anew(cache, faulty_server):
    faulty_server.content = bytes(range(256)) * 2000
    known = PretrainedFile(
        "w.pth", hashlib.sha256(faulty_server.content).hexdigest()[:8], f"{faulty_server.url}/truncates-without-range"
    )
    cache.mkdir(parents=True)
    (cache / "w.pth.part").write_bytes(b"another version")
    (cache / "w.pth.part.json").write_text(f'{{"address": "{known.url}", "etag": null, "last_modified": null}}')
    assert find(known, "--inception").read_bytes() == faulty_server.content
    known = PretrainedFile("v.pth", known.sha256_prefix, f"{faulty_server.url}/good")
    (cache / "v.pth.part").write_bytes(b"another version")
    (cache / "v.pth.part.json").write_text(f'{{"address": "{known.url}", "etag": null, "last_modified": null}}')
    assert find(known, "--inception").read_bytes() == faulty_server.content
    assert not list(cache.glob("*.part*"))


def test_a_cache_that_takes_no_file_is_one_line_that_says_which_variable_moves_it(tmp_path, monkeypatch, faulty_server):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(MetricError, match=r"w.pth: cannot be written \(Not a directory\), expected XDG_CACHE_HOME"):
        find(PretrainedFile("w.pth", "01234567", f"{faulty_server.url}/good"), "--inception")
    assert not faulty_server.requests


def test_without_a_network_the_message_says_what_to_put_where(cache, faulty_server):
    address = "http://127.0.0.1:9/weights.pth"  # the discard port: nobody answers
    with pytest.raises(MetricError) as refusal:
        find(PretrainedFile("weights.pth", "01234567", address), "--inception")
    message = str(refusal.value)
    assert message.startswith(f"{cache / 'weights.pth'}: not there, and cannot be fetched (") and "\n" not in message
    assert message.endswith(f"download {address} elsewhere and put it there, or give --inception FILE")


def test_forbidden_connections_are_not_tried(cache, faulty_server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MetricError, match=r"cannot be fetched \(HF_HUB_OFFLINE is set\)"):
        find(PretrainedFile("w.pth", "01234567", f"{faulty_server.url}/good"), "--inception")
    assert not faulty_server.requests
