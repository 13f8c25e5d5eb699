"""From in-the-wild photographs to CelebA-HQ, and from CelebA-HQ to a generator that runs anywhere.

Everything here is loaded at its first use: `import celebahq` takes no time and needs no library. Functions are silent
(they speak to logging.getLogger("celebahq")), return what they made, and raise CelebAHQError for what a user can mend.

    from celebahq import BuildConfig, build, load, open_dataset

    result = build(BuildConfig(input=Path("photos"), output=Path("faces.h5"), resolution=256))
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celebahq.errors import CelebAHQError as CelebAHQError
    from celebahq_builder.align import align_face as align_face
    from celebahq_builder.build import build as build
    from celebahq_builder.config import BuildConfig as BuildConfig
    from celebahq_builder.hdf5 import open_dataset as open_dataset
    from celebahq_builder.quality import quality_score as quality_score
    from celebahq_builder.report.summary import BuildResult as BuildResult
    from export.hub.config import HubConfig as HubConfig
    from export.hub.to_hub import PushResult as PushResult
    from export.hub.to_hub import push_to_hub as push_to_hub
    from export.onnx_export.to_onnx import export_onnx as export_onnx
    from export.sample import load_onnx as load_onnx
    from train.config import TrainConfig as TrainConfig
    from train.loop import train as train
    from train.metrics.ms_ssim import ms_ssim as ms_ssim
    from train.metrics.swd import swd as swd
    from train.presets import preset_config as preset_config
    from train.state.result import TrainResult as TrainResult
    from zoo import import_checkpoint as import_checkpoint
    from zoo import load as load

    __version__: str

_WHERE = {
    "BuildConfig": "celebahq_builder.config",
    "BuildResult": "celebahq_builder.report.summary",
    "CelebAHQError": "celebahq.errors",
    "HubConfig": "export.hub.config",
    "PushResult": "export.hub.to_hub",
    "TrainConfig": "train.config",
    "TrainResult": "train.state.result",
    "align_face": "celebahq_builder.align",
    "build": "celebahq_builder.build",
    "export_onnx": "export.onnx_export.to_onnx",
    "import_checkpoint": "zoo",
    "load": "zoo",
    "load_onnx": "export.sample",
    "ms_ssim": "train.metrics.ms_ssim",
    "open_dataset": "celebahq_builder.hdf5",
    "preset_config": "train.presets",
    "push_to_hub": "export.hub.to_hub",
    "quality_score": "celebahq_builder.quality",
    "swd": "train.metrics.swd",
    "train": "train.loop",
}
__all__ = ["__version__", *_WHERE]
_HOME = str(Path(__file__).resolve().parent.parent)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from celebahq.version import version

        value: Any = version()
    elif name in _WHERE:
        value = getattr(_import_ours(_WHERE[name]), name)
    else:
        raise AttributeError(f"module 'celebahq' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _import_ours(module: str) -> Any:
    """Import a module of this suite, though a zoo.py, train.py or export.py of the user lies in the current folder."""
    package = module.split(".")[0]
    loaded = sys.modules.get(package)
    if loaded is not None and not _lies_beside_us(getattr(loaded, "__file__", None)):
        found = getattr(loaded, "__file__", None) or getattr(loaded, "__path__", "?")
        raise ImportError(f"{package}: got {found}, expected the package of celebahq of that name; rename that file")
    if loaded is not None:
        return importlib.import_module(module)
    sys.path.insert(0, _HOME)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(_HOME)


def _lies_beside_us(file: str | None) -> bool:
    return file is not None and str(Path(file).resolve().parent.parent) == _HOME
