"""The options of python -m export hub."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from celebahq.options import check_options
from export.config import UsageError

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """Publish a generator on the Hugging Face Hub: its folder is built and shown first, then sent as one commit.

    The folder: model.safetensors, config.json, model.onnx (checked against PyTorch), sample.py (needs numpy and
    onnxruntime only), samples.png, training.json, metrics.json and README.md, the model card. Sent again unchanged, it
    makes no commit. A README.md that somebody edited, on the Hub or in a folder, is kept; metadata that it lacks is
    filled in. The model is then loaded anywhere with zoo.load("org/name"), or org/name@revision on any command line.

    A token that may write comes from `hf auth login` or HF_TOKEN.

    Example: python -m export hub --model runs/faces --repo me/progan-faces --license cc-by-nc-4.0 --dry-run

    Example: python -m export hub --model runs/faces --repo me/progan-faces --license cc-by-nc-4.0 --tag v1
    """

    model: Annotated[str, tyro.conf.arg(metavar="MODEL")]
    """Model folder, the run folder of python -m train that holds one, or the name of a published model."""
    repo: Annotated[str, tyro.conf.arg(metavar="ORG/NAME")]
    """The repository; made if it is missing."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Build and show the folder, ask the Hub nothing and send nothing."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where to build the folder, which is then kept: edit its README.md and send it. None is a temporary folder."""
    license: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None
    """License of the weights, an identifier of the Hub such as cc-by-nc-4.0, or the name of another license. Wanted
    where the model states none: nothing is published under a license that nobody chose."""
    license_link: Annotated[str | None, tyro.conf.arg(metavar="URL")] = None
    """Where the text of a license is that the Hub has no identifier for."""
    data_license: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    """Terms of the images that it was trained on, for the card; None is what the model states."""
    dataset_id: Annotated[str | None, tyro.conf.arg(metavar="ORG/NAME")] = None
    """The dataset's name on the Hub, which then links the two; None links to none and says the name of the file."""
    faces: Literal["auto", "yes", "no"] = "auto"
    """Whether it generates faces: the card then says what that obliges to. auto is yes, unless the dataset's name
    is one of LSUN, MNIST, CIFAR, DTD or aircraft."""
    discriminator: tyro.conf.FlagCreatePairsOff[bool] = False
    """Send the discriminator too, as large as the generator: others can then train on with --init ORG/NAME."""
    private: tyro.conf.FlagCreatePairsOff[bool] = False
    """Make a new repository private; one that exists stays as it is."""
    pr: tyro.conf.FlagCreatePairsOff[bool] = False
    """Open a pull request instead of changing the branch."""
    revision: Annotated[str, tyro.conf.arg(metavar="BRANCH")] = "main"
    """The branch to change; made from main if it is missing."""
    tag: Annotated[str | None, tyro.conf.arg(metavar="TAG")] = None
    """Name the commit, v1 say, so that it can be asked for for ever."""
    message: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    """First line of the commit; None says what is sent."""
    overwrite_card: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace an edited README.md too."""

    def __post_init__(self) -> None:
        check_options(self)
        from zoo.folder import ModelError  # late: the other commands do without zoo
        from zoo.remote.hub_address import hub_id_of

        with contextlib.suppress(ModelError):  # check says what is wrong with it
            object.__setattr__(self, "repo", hub_id_of(self.repo))

    def check(self) -> None:
        """Raise UsageError where options contradict each other. (Not at birth: tyro would frame the line.)"""
        if not REPO_ID.fullmatch(self.repo) or "--" in self.repo or ".." in self.repo:
            raise UsageError(f"--repo: got {self.repo!r}, expected org/name of letters, digits, '-', '_' and '.'")
        if self.output is not None:
            from export.model_file import folder_named

            folder_named(self.output, "--output")
        if self.pr and self.tag:
            raise UsageError("--tag: got it with --pr, expected a commit on a branch; tag it once it is merged")
        if self.pr and self.revision != "main":
            raise UsageError(
                f"--revision: got {self.revision} with --pr, expected main: the Hub opens one against it alone"
            )
        for flag, name in (("--revision", self.revision), ("--tag", self.tag)):
            if name is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*", name, re.ASCII):
                raise UsageError(f"{flag}: got {name!r}, expected a name of letters, digits, '-', '_', '.' and '/'")
