"""Files of published weights: what is read, what is refused and in which words, and fetching."""

import hashlib
import os
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from safetensors.torch import save_file

from train.metrics import inception as module
from train.metrics.inception import Inception, InceptionFeatures, load_inception
from train.metrics.pretrained_file import PretrainedFile, cache_folder, find, read_tensors
from train.metrics.refusal import MetricError


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
        f"{path}: its sha256 begins {sha256(path)[:8]}, "
        "pt_inception-2015-12-05-6726825d.pth (sha256 6726825d...) is wanted"
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
    with pytest.raises(MetricError, match=r"evil.pth: not a file of tensors alone, .* nothing of it was run"):
        load_inception(path)
    torch.save({"fc.weight": Malicious(trace)}, path)
    as_known(monkeypatch, path)
    with pytest.raises(MetricError, match=r"not a file of tensors alone"):
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
    with pytest.raises(MetricError, match=r"cut.pth: not a file of tensors alone"):
        load_inception(path)


def test_a_table_of_other_things_is_refused(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([1, 2], path)
    with pytest.raises(MetricError, match=r"list.pth: not a table of tensors"):
        read_tensors(path, [PretrainedFile("list.pth", sha256(path)[:8], "")])


def test_another_network_is_refused_by_name_and_shape(network, tmp_path):
    path = tmp_path / "torchvision.safetensors"
    save_file(network.state_dict() | {"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(MetricError, match=r"fc.weight is \(1000, 2048\), \(1008, 2048\) is wanted"):
        load_inception(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(MetricError, match=r"is missing, \(.*\) is wanted: not the network of pt_inception"):
        load_inception(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(MetricError, match=r"nowhere.pth: no such file or directory, pt_inception-2015"):
        load_inception(tmp_path / "nowhere.pth")


def test_without_a_file_it_is_fetched_once_and_kept(network, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "published.pth"
    torch.save(network.state_dict(), source)
    as_known(monkeypatch, source)
    first = InceptionFeatures()
    kept = cache_folder() / "weights" / "published.pth"
    assert kept.read_bytes() == source.read_bytes() and kept.is_relative_to(tmp_path)
    source.unlink()
    assert InceptionFeatures().sha256 == first.sha256 == sha256(kept)


def test_what_was_fetched_with_another_hash_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "page.html"
    source.write_text("moved")
    with pytest.raises(MetricError, match=r"w.pth: what came from file:.* has sha256 .{8}, 01234567 is wanted"):
        find(PretrainedFile("w.pth", "01234567", source.as_uri()), "--inception")
    assert not list((tmp_path / "celebahq" / "weights").iterdir())


class _CutShort(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5000000")
        self.end_headers()
        self.wfile.write(b"0" * 1_500_000)

    def log_message(self, *_):
        pass


def test_an_answer_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), _CutShort) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(MetricError, match=r"w.pth: (what came from|not there, and cannot be fetched)"):
            find(PretrainedFile("w.pth", "01234567", f"http://127.0.0.1:{server.server_port}/w.pth"), "--inception")
        thread.join()
    assert not list((tmp_path / "celebahq" / "weights").iterdir())


def test_without_a_network_the_message_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    address = "http://127.0.0.1:9/weights.pth"  # the discard port: nobody answers
    with pytest.raises(MetricError) as refusal:
        find(PretrainedFile("weights.pth", "01234567", address), "--inception")
    path = tmp_path / "celebahq" / "weights" / "weights.pth"
    message = str(refusal.value)
    assert message.startswith(f"{path}: not there, and cannot be fetched (") and "\n" not in message
    assert message.endswith(f"download {address} elsewhere and put it there, or give --inception FILE")
    assert not list(path.parent.iterdir())
