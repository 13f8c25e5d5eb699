"""Files of every layout are recognised by content alone, by one layout, and give what their own program gives."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from zoo.importers import LAYOUTS, import_checkpoint


def test_one_layout_recognises_the_file_and_it_is_the_right_one(sample, layouts_of):
    assert layouts_of(sample.path) == [sample.layout]


def test_imported_generator_generates_what_its_own_program_generates(sample):
    images = import_checkpoint(sample.path)(sample.z)
    np.testing.assert_allclose(images.numpy(), sample.images, rtol=0, atol=1e-4)


def test_neither_tensorflow_nor_openmmlab_nor_theano_is_needed(real_data):
    program = """
import sys
strangers = ("tensorflow", "tfutil", "theano", "lasagne", "mmcv", "mmengine", "mmgen", "mmagic", "models", "network")
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in strangers:
            raise AssertionError(f"{name} was asked for")
sys.meta_path.insert(0, Blocker())
from zoo.importers import import_checkpoint
for path in sys.argv[1:]:
    import_checkpoint(path)
"""
    folder = real_data / "zoo_vectors"
    files = [str(path) for path in sorted(folder.iterdir()) if path.suffix not in (".json", ".npz")]
    assert len(files) == 6
    subprocess.run([sys.executable, "-c", program, *files], check=True, timeout=600)


@pytest.mark.parametrize(
    "content",
    [
        None,
        3,
        "text",
        [],
        (1, 2, 3),
        {},
        {3: torch.zeros(2)},
        {"generator": None, "discriminator": 4, "generator_smooth": []},
        {"generator": {"conf": 3, "state_dict": []}},
        {"generator": {"conf": {}, "state_dict": {"rgb_converters.0.weight": 3}}},
        {"state_dict": {"state_dict": {}}},
        {"state_dict": [torch.zeros(2)], "meta": "text"},
        {"meta": {"config": 3}, "state_dict": {"generator.noise2feat.linear.weight_orig": "text"}},
        {"layer0.weight": 1, "lod": None, "output0.weight": 2, "layer1.weight": 3},
        {"module.": torch.zeros(2), "module.module.": torch.zeros(2)},
        {"config": None, "netG": None},
    ],
    ids=lambda content: str(content)[:40],
)
def test_no_layout_takes_other_content_or_stumbles_over_it(content):
    assert [layout.NAME for layout in LAYOUTS if layout.recognises(content)] == []
