"""The options of python -m zoo: one frozen dataclass a subcommand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from celebahq.options import check_options

CacheFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True, kw_only=True)
class ListConfig:
    """List models: those that ship with the package, those trained here, those in the cache, all of the catalogue.

    Examples:
      python -m zoo list
      python -m zoo list celebahq      (names that contain it)
    """

    words: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[WORD ...]")] = ()
    """Only names that contain one of these."""
    runs: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs")
    """Where python -m train puts its runs."""
    cache: CacheFolder = None
    """The cache; by default $CELEBAHQ_ZOO_CACHE, else celebahq/zoo in $XDG_CACHE_HOME or ~/.cache."""
    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the page docs/zoo.md: every source, whether it is recognised and verified, its license and addresses."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class ShowConfig:
    """Show a model: its layers as the paper's Table 2, license, origin, metrics, an image.

    Nothing of the catalogue is downloaded for it.

    Examples:
      python -m zoo show celebahq-1024
      python -m zoo show runs/celebahq-paper
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Name of python -m zoo list, model folder, run folder or Hugging Face id org/name[@revision]."""
    cache: CacheFolder = None
    """As of python -m zoo list."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class PullConfig:
    """Download models into the cache, check them against what is published, convert them into model folders.

    A download that broke off goes on where it was. Where no address gives the file, the message names it and where to
    put it by hand. HTTPS_PROXY, HF_ENDPOINT and HF_HUB_OFFLINE count.

    Example: python -m zoo pull celebahq-1024
    """

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME [NAME ...]")]
    """Names of python -m zoo list, or Hugging Face ids org/name[@revision]."""
    again: tyro.conf.FlagCreatePairsOff[bool] = False
    """Convert once more what is in the cache, from the checkpoint as it was downloaded."""
    cache: CacheFolder = None
    """As of python -m zoo list."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Convert a checkpoint of another program into a model folder; its layout is recognised, nothing in it is run.

    Generator (its moving average, where there is one) and discriminator, to generate with, export, or train on.

    Examples:
      python -m zoo import karras2018iclr-celebahq-1024x1024.pkl
      python -m zoo import celebaHQ_s6_i80000-6196db68.pth --output models/celebahq-256
    """

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """The checkpoint: .pkl, .pth, .pt, .bin; the ending does not matter. Also checkpoint-*.pt of python -m train."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The model folder to make; None is the file's name without its ending, here."""
    label_size: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Components of the label that joins z, for a file that does not tell: a generator alone, of genforce, huggan or
    mmgen. None is what the file says."""
    overwrite: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace what is there."""

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """Check a model: the hashes of its files, every name and shape, a forward pass against the recorded check image.

    Examples:
      python -m zoo verify celebahq-1024
      python -m zoo verify runs/celebahq-paper --record      (write down what counts from now on)
      python -m zoo verify --online      (do the catalogue's addresses still answer?)
    """

    model: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """Name of the cache or of a shipped model, model folder, run folder or Hugging Face id."""
    record: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write the check image and the hashes of a folder that is known to be good, before checking them."""
    online: tyro.conf.FlagCreatePairsOff[bool] = False
    """Ask the addresses of MODEL, or of the whole catalogue, for a first kilobyte, instead."""
    cache: CacheFolder = None
    """As of python -m zoo list."""

    def __post_init__(self) -> None:
        check_options(self)
