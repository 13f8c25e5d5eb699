"""Nodes: the same libraries and kind of processor as where the build was started, or one line that names both."""

import importlib.metadata

import pytest

from celebahq_builder.cluster import node_facts as module
from celebahq_builder.cluster.node_facts import PROCESSOR, differences, node_facts, why_unfit


def test_facts_are_what_is_installed_and_the_processor():
    facts = node_facts()
    assert facts["numpy"] == importlib.metadata.version("numpy")
    assert facts["onnxruntime"] != "none"  # it finds the faces that HOG does not
    assert facts["dlib"] != "none" and facts["opencv"] != "none" and facts[PROCESSOR]


def test_library_that_is_not_installed_counts_as_none(monkeypatch):
    monkeypatch.setattr(module, "_LIBRARIES", {"opencv": ("no-such-package", "nor-this")})
    assert node_facts.__wrapped__()["opencv"] == "none"


def test_node_like_the_driver_is_fit():
    assert why_unfit(node_facts(), node_facts(), "n1") == "" and differences({}, {}) == []


@pytest.mark.parametrize(
    ("name", "found", "line"),
    [
        (
            "numpy",
            "1.0",
            "--ray: got numpy 1.0 on node n1, expected numpy 2.4 as where the build was started; install the same "
            "there: pip install -c constraints.txt 'celebahq[ray]'",
        ),
        (
            PROCESSOR,
            "x86_64 AuthenticAMD avx2",
            "--ray: got processor x86_64 AuthenticAMD avx2 on node n1, expected processor x86_64 GenuineIntel avx512f "
            "as where the build was started; build on nodes of one kind, and start the build on one of them: others "
            "move faces by a gray level",
        ),
    ],
)
def test_node_that_differs_is_named_with_both_values_and_the_remedy(name, found, line):
    driver = {"numpy": "2.4", PROCESSOR: "x86_64 GenuineIntel avx512f"}
    assert why_unfit(driver, driver | {name: found}, "n1") == line


def test_processor_is_read_as_the_kernel_tells_it(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 fma avx512f\n\nprocessor\t: 1\nflags\t: fpu\n"
    )
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / path.rpartition("/")[2])
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    assert module._processor() == "x86_64 GenuineIntel avx2 fma avx512f"
