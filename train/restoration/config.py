"""The settings of one training run: the options of `python -m train.restoration`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from celebahq.options import check_options
from train.restoration.errors import RestorationError


@dataclass(frozen=True, kw_only=True)
class RestorationConfig:
    """Train a restoration network. Run the same command again to resume."""

    photos: Path
    """Folder of photographs to train on, or a zip of one (folders `photos/` and, unused here, `testsets/`)."""
    net: Literal["artifacts", "superres"]
    """Which of the two networks."""
    size: Literal["full", "fast"] = "full"
    """`fast` costs at least six times less on a CPU."""
    kind: Literal["psnr", "gan"] = "psnr"
    """`gan` fine-tunes a super-resolution network of kind `psnr` adversarially; needs --init."""
    init: Path | None = None
    """Weights to start from: a safetensors file, or a model folder such as zoo/pretrained/artifacts-fast."""
    outdir: Path = Path("runs/restoration")
    """The run lives in OUTDIR/NET-SIZE-KIND."""
    minutes: float | None = None
    """Length of training; the learning rate follows the time trained so far. Give this or --steps."""
    steps: int | None = None
    """Length of training in batches."""
    batch: int = 32
    """Patches a step."""
    patch: int = 0
    """Side of a training target in pixels; 0 is 128 for artifacts, 192 for superres, 128 for its kind gan."""
    learning_rate: float = 0.0
    """Peak of the schedule; 0 is 8e-4 for kind psnr, 1e-4 for gan."""
    ema: float = 0.999
    """Decay a step of the moving average of the weights, which is what is kept."""
    texture_weight: float = 0.7
    """Kind gan: length of the adversarial gradient in the image, as a multiple of the content loss's gradient."""
    validate_seconds: float = 60.0
    """Seconds of training between two validations."""
    testsets: Path | None = None
    """Folder (or zip) with Classic5, Set5 and Set14 to validate on; without it photos are held out."""
    held_out: Path | None = None
    """List of the photos to validate on and never to train on: a path a line, as in PHOTOS. Default: every 25th."""
    faces: Path | None = None
    """CSV of the faces in the photos (photo, x, y, width, height), as benchmarks/restoration_faces.py writes it."""
    faces_share: float = 0.3
    """With --faces: the share of patches that are drawn around a face."""
    cleaner: Path | None = None
    """Kind gan: artifact-removal weights that inputs pass after compression, such as zoo/pretrained/artifacts-fast."""
    workers: int = 0
    """Processes that degrade photos in the background; 0 draws every batch in step, reproducible bit for bit."""
    pool: int = 16384
    """Patches held on the device when there are workers."""
    device: str = "auto"
    """Where to train: auto (CUDA when there is one), cpu, cuda or cuda:1."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 on CUDA and fp32 on a CPU, unless said otherwise. The weights stay fp32."""
    seed: int = 0
    """Seeds initialisation and every draw."""

    def __post_init__(self) -> None:
        check_options(self)
        if (self.minutes is None) == (self.steps is None):
            raise RestorationError(f"--minutes, --steps: got {self.minutes} and {self.steps}, expected one of them")
        if self.kind == "gan" and (self.net != "superres" or self.init is None):
            raise RestorationError(
                f"--kind gan: got --net {self.net} --init {self.init}, expected --net superres and --init FILE"
            )
        if self.cleaner is not None and self.kind != "gan":
            raise RestorationError(
                f"--cleaner: got {self.cleaner} with --kind {self.kind}, expected it with --kind gan only"
            )
        if self.patch_side % 8:
            raise RestorationError(f"--patch: got {self.patch}, expected a multiple of 8")
        if self.kind == "gan" and self.patch_side < 32:  # the texture loss's coarser level has no whole patch
            raise RestorationError(f"--patch: got {self.patch}, expected at least 32 with --kind gan")
        if not 0 <= self.faces_share <= 1:
            raise RestorationError(f"--faces-share: got {self.faces_share}, expected a share from 0 to 1")
        if self.held_out is not None and self.testsets is not None:
            raise RestorationError(
                f"--held-out: got {self.held_out} and --testsets {self.testsets}, expected one of them"
            )
        if self.batch < 1 or (self.workers and self.pool < self.batch):
            raise RestorationError(f"--batch: got {self.batch}, expected at least 1 and at most --pool {self.pool}")

    @property
    def patch_side(self) -> int:
        """Side of a training target in pixels."""
        return self.patch or (192 if self.net == "superres" and self.kind == "psnr" else 128)

    @property
    def peak_learning_rate(self) -> float:
        """The largest learning rate of the schedule."""
        return self.learning_rate or (8e-4 if self.kind == "psnr" else 1e-4)

    @property
    def name(self) -> str:
        """Name of the run and of its weights, as artifacts-full or superres-fast-gan."""
        return f"{self.net}-{self.size}" if self.net == "artifacts" else f"{self.net}-{self.size}-{self.kind}"
