"""TrainConfig: every option of `python -m train`, its default, unit and meaning; printed and saved with the run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from celebahq.options import check_options
from train.config_checks import TrainError as TrainError  # whom all of train raises is known from here
from train.config_checks import check_values, names_of


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a ProGAN on a CelebA-HQ file. Run the same command again to resume. Options override the preset.

    Examples:
      python -m train --dataset celebahq.h5
      python -m train --dataset celeba128.h5 --preset smoke
      python -m train --dataset celeba128.h5 --preset celeba128 --outdir runs --name faces --total-kimg 2000
    """

    dataset: Path
    """HDF5 file made by celebahq-build, celebahq-data import, or the original 2017 program."""
    preset: str = "paper"
    """Settings by name: paper, released, celeba128, smoke, lsun256, cifar10, lsgan, table1-a to table1-h,
    table1-e-star, mnist1k-k2, mnist1k-k4 ... (docs/training.md has all). The defaults below are this preset's (in
    Python, celebahq.preset_config puts a preset's values in their place: here it is only the name)."""
    outdir: Path = Path("runs")
    """Folder of all runs."""
    name: str | None = None
    """Folder of this run inside it; by default <dataset>-<preset>."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1 ...; auto takes CUDA when there is one."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """Arithmetic of the convolutions; auto is bf16 where the device multiplies it (CUDA from 8.0, processors with
    AVX512-BF16 or AMX), else fp32. Statistics, scores, penalties, Adam and the moving average are always float32."""
    deterministic: bool = False
    """On CUDA, allow only convolution algorithms that repeat bit for bit (a resume is then exact there too); slower.
    A CPU repeats in any case."""
    capture: bool = True
    """On CUDA, record the whole iteration as a CUDA graph."""
    kernels: Literal["auto", "fused", "plain"] = "auto"
    """Bias, activation, normalization and pooling one after the other (plain), or in one pass over memory each (fused:
    Triton on CUDA). auto: fused on CUDA where each kernel was seen to compute what the plain one does, else plain."""
    compile: bool = False
    """Compile both networks and the penalty's gradient by torch.compile, for each resolution anew, instead of the fused
    kernels. Needs a C++ compiler; its first iteration at each resolution takes minutes."""
    seed: int = 0
    """Every random draw is a function of this and of the images shown so far."""

    init: str | None = None
    """Start from trained networks instead of noise: a run folder, a model folder (python -m zoo import makes one of
    other programs' files), a checkpoint, a catalogue name or a Hub id. Sizes are then the model's; it trains on at its
    resolution, or grows from there to a higher --resolution. The faces and their labels may be others."""
    discriminator_kimg: float | None = None
    """Thousands of images for which the discriminator is trained alone at the start; by default 0, or with an --init
    that has none 10 (a quarter of --stable-kimg where that is less)."""
    resolution: int | None = None
    """Where growth ends, pixels; by default the file's resolution, with --init the model's."""
    total_kimg: float | None = None
    """Length of training, thousands of real images shown to the discriminator; by default the growth and two more
    stable phases."""
    stable_kimg: float = 800
    """Thousands of images for which each resolution is held."""
    fade_kimg: float = 800
    """Thousands of images over which the next resolution fades in."""
    grow: bool = True
    """Grow from 4x4; otherwise train the full resolution from the start."""

    minibatch: int = 16
    """Images a minibatch, over all processes of torchrun."""
    minibatch_at: tuple[tuple[int, int], ...] = ()
    """Exceptions, as pairs of resolution and images."""
    max_batch_per_gpu: int | None = None
    """Images that a device is shown at once; what is more of its share of a minibatch goes through it in parts, whose
    gradients are added up. Networks whose minibatch stddev is over the whole minibatch (variant paper) cannot."""
    learning_rate: float = 0.001
    """Adam's step size, both networks."""
    learning_rate_at: tuple[tuple[int, float], ...] = ()
    """Exceptions, as pairs of resolution and step size."""
    n_critic: int = 1
    """Minibatches that the discriminator is trained on before the generator is, once; each counts as images shown."""
    rampup_kimg: float = 0
    """Thousands of images over which the learning rate rises at the start."""
    beta1: float = 0.0
    """Adam's decay of the mean gradient."""
    beta2: float = 0.99
    """Adam's decay of the mean squared gradient."""
    epsilon: float = 1e-8
    """Adam's epsilon."""
    optimizer_reset: bool = True
    """Adam forgets at both ends of every fade, as in the released programs."""
    loss: Literal["wgan-gp", "lsgan", "r3gan"] = "wgan-gp"
    """wgan-gp as in the paper; lsgan: least squares (Appendix B), with lower scores for reals, no penalty and no drift;
    r3gan: pairs of real and fake compared, with R1 and R2 (arXiv:2501.05441, formula 2)."""
    lsgan_noise: Literal["output", "loss", "none"] = "output"
    """With lsgan: noise in the discriminator's layers that grows with the running mean of its output at fakes, as the
    paper prints it, or of its loss, as the Theano program has it."""
    simultaneous: bool = False
    """Update both networks from one minibatch, each before it sees the other's update (the CIFAR-10 run)."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (lambda); with r3gan the gamma of R1 and R2, half of which multiplies each."""
    penalty_interval: int = 1
    """Iterations from one penalty to the next, which counts as many times (lazy regularization, StyleGAN2)."""
    gp_target: float = 1.0
    """Slope that the penalty wants (gamma)."""
    drift: float = 0.001
    """Weight of the squared scores of the reals (epsilon_drift)."""
    ema_kimg: float = 11.1
    """Half-life of the published generator's moving average, thousands of images: 0.999 an update of 16."""
    ema_beta: float | None = None
    """Fixed weight of the old average an update, whatever the minibatch, instead of ema_kimg."""
    mirror: bool = True
    """Mirror each real image with probability one half."""
    augment: Literal["auto", "none", "diffaug", "ada"] = "auto"
    """Transform what the discriminator sees, reals and fakes alike, so that few faces are not learnt by heart. diffaug:
    color, translation, cutout (Zhao et al. 2020); ada: StyleGAN2-ADA's list, as often as the discriminator is too sure
    of its reals. auto: ada below 5,000 faces, else none. On CUDA a resume is then exact to rounding only."""
    augment_kimg: float | None = None
    """Thousands of images over which ada's probability can rise from 0 to 1; by default 500, or an eighth of the
    schedule where that is less."""

    variant: Literal["paper", "released", "mnist1k"] = "paper"
    """Which of the two official networks, or the small ones of Appendix E; see zoo.progan.ProGANConfig."""
    latent_size: int = 512
    """Components of z."""
    fmap_base: int = 8192
    """Feature maps at resolution R: min(2 * fmap_base / R, fmap_max)."""
    fmap_max: int = 512
    """Most feature maps of any layer."""
    latent_norm: Literal["z", "joined", "twice", "both", "none"] | None = None
    """What is normalized before the first layer: z, z and label joined ...; none: nothing. By default the variant's."""
    pixelnorm: Literal["all", "not_first", "none"] = "all"
    """The layers of the generator with pixelwise normalization."""
    generator_norm: Literal["none", "batch"] = "none"
    """batch: batch normalization in the generator, instead (--pixelnorm none)."""
    generator_slope: float = 0.2
    """Slope of the generator's leaky ReLU; 0 is ReLU."""
    tanh: bool = False
    """Images go through tanh."""
    discriminator_norm: Literal["none", "batch", "layer"] = "none"
    """Batch or layer normalization of the discriminator's convolutions."""
    stddev: Literal["batch", "strided", "contiguous", "none"] | None = None
    """Who shares a minibatch stddev: the whole minibatch, or groups of 4. By default the variant's."""
    minibatch_discrimination: int = 0
    """Kernels of minibatch discrimination (Salimans et al. 2016) before the score; 0 is none."""
    equalized: bool = True
    """Equalized learning rate; otherwise He's constant scales the initial weights, once."""
    discriminator_divisor: int = 1
    """How many times fewer feature maps the discriminator of --variant mnist1k has (K of Appendix E)."""

    tick_kimg: float = 20
    """Thousands of images between two lines of the log."""
    tick_kimg_at: tuple[tuple[int, float], ...] = ()
    """Exceptions, as pairs of resolution and kimg."""
    image_ticks: int = 1
    """Ticks between two grids of fakes; 0 for none."""
    checkpoint_ticks: int = 10
    """Ticks between two checkpoints; one is always written at the end and on Ctrl-C."""
    checkpoint_minutes: float = 20
    """A tick also writes one when the last is older than this."""
    keep_checkpoints: int = 2
    """Newest checkpoints to keep."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="swd msssim")] = ()
    """Measure the averaged generator while it trains, from 16x16 on and only while no block fades in: swd, msssim or
    both. Rows go to metrics.jsonl, curves to TensorBoard; the best generator of the newest resolution is kept as
    model-best-<metric>: the lowest swd, the msssim nearest to that of the reals."""
    metrics_kimg: float = 100
    """Thousands of images between two measurements; each is taken at the first tick after, and at the end."""
    metrics_images: int = 16384
    """Images, and as many reals, of a measurement; fewer are faster, and have a higher noise floor."""
    wandb: Annotated[str | None, tyro.conf.arg(metavar="PROJECT")] = None
    """Show the run in this project (or ENTITY/PROJECT) of Weights & Biases, too: curves, grids, options; a resume goes
    on there, --wandb none ends that. Needs the extra wandb, and its login or WANDB_MODE=offline."""
    resident_gib: float | Literal["auto"] = "auto"
    """A level of the file up to this size is held in the device's memory, a larger one is read ahead from disk. auto:
    on CUDA what the first step at a resolution leaves free, but for a tenth of the memory; on a CPU 16."""

    def __post_init__(self) -> None:
        check_options(self)
        object.__setattr__(self, "metrics", names_of(self.metrics))
        check_values(self)

    @property
    def noisy_layers(self) -> bool:
        """Whether there is noise in the discriminator's layers."""
        return self.loss == "lsgan" and self.lsgan_noise != "none"

    @property
    def augments(self) -> bool:
        """Whether what the discriminator sees is transformed."""
        return self.augment in ("diffaug", "ada")

    @property
    def run_folder(self) -> Path:
        """The folder of this run."""
        return self.outdir / (self.name or f"{self.dataset.stem}-{self.preset}")

    def minibatch_flag(self, resolution: int, size: int) -> str:
        """Return the option that changes the minibatch at one resolution and keeps the others."""
        table = sorted({**dict(self.minibatch_at), resolution: size}.items())
        return "--minibatch-at " + " ".join(f"{r} {n}" for r, n in table)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain JSON types."""
        return {
            name: str(value)
            if isinstance(value, Path)
            else [list(pair) for pair in value]
            if name.endswith("_at")
            else value
            for name, value in asdict(self).items()
        }
