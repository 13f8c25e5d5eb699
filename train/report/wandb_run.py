"""A run shown by Weights & Biases too (--wandb): curves, grids, options; the same id after every resume.

wandb is imported here alone, and only where --wandb asks for it. Its error reports to its makers are switched off
unless WANDB_ERROR_REPORTING says otherwise; all its other variables (WANDB_MODE, WANDB_API_KEY ...) hold as usual.
"""

import contextlib
import importlib.util
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celebahq.files import write_atomic
from train.config import TrainError

ID_FILE = "wandb-id.txt"
_OFF = "none"


def wandb_project(option: str | None) -> tuple[str | None, str] | None:
    """Return (entity, project) of --wandb PROJECT or ENTITY/PROJECT; None where it is not given, or none.

    Raises:
        TrainError: the package is missing, or the name cannot be one.
    """
    if option is None or option == _OFF:
        return None
    entity, slash, project = option.rpartition("/")
    if not project or (slash and not entity) or "/" in entity:
        raise TrainError(f"--wandb: got {option!r}, expected PROJECT or ENTITY/PROJECT, or none")
    found = importlib.util.find_spec("wandb")
    if found is None or found.origin is None:  # a folder wandb/ of earlier runs in the working directory is no package
        raise TrainError("--wandb: got no package wandb, expected it installed; pip install 'celebahq[wandb]'")
    return entity or None, project


class WandbRun:
    """One run of Weights & Biases, open from the first line of the log to the last.

    Args:
        folder: the run folder: its name is the run's, wandb-id.txt in it holds the id, wandb/ what is sent.
        project: (entity, project), as wandb_project gives them.
        options: TrainConfig.to_dict(); shown without what names folders of this machine.
        say: prints a line.

    Raises:
        TrainError: wandb cannot begin: nobody is logged in, or its server does not answer.
    """

    def __init__(
        self, folder: Path, project: tuple[str | None, str], options: dict[str, Any], say: Callable[[str], None]
    ) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        entity, name = project
        try:
            self._run = wandb.init(
                entity=entity,
                project=name,
                name=folder.name,
                id=_kept_id(folder),
                resume="allow",
                dir=str(folder),
                config=options_to_show(options),
                allow_val_change=True,  # what a resume changes; history.json says when
                # Quiet, and neither git, nor code, nor the terminal's text: what is shown is what this file logs.
                settings=wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True),
            )
        except wandb.errors.Error as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainError(
                f"--wandb: got no run ({reason}), expected one; wandb login, or WANDB_MODE=offline to keep it here"
            ) from None
        self._image = wandb.Image
        # Not wandb's own step, which cannot go back: after a kill some rows come again.
        self._run.define_metric("kimg")
        self._run.define_metric("*", step_metric="kimg")
        offline = f"{folder / 'wandb'}, offline; wandb sync sends it"
        say(f"Weights & Biases: {offline if self._run.offline else self._run.url}")

    def log(self, curves: dict[str, float], nimg: int) -> None:
        """Show numbers at a moment of the run."""
        self._run.log({**curves, "kimg": nimg / 1000})

    def image(self, name: str, path: Path, nimg: int) -> None:
        """Show an image that was written."""
        self._run.log({name: self._image(str(path)), "kimg": nimg / 1000})

    def close(self, failed: bool) -> None:
        """End it; waits until all is sent, which Ctrl-C cuts short: the rest then stays in wandb/."""
        with contextlib.suppress(KeyboardInterrupt):
            self._run.finish(exit_code=int(failed))


def options_to_show(options: dict[str, Any]) -> dict[str, Any]:
    """Return TrainConfig.to_dict() without what names folders of this machine: of files only their names."""
    shown = {name: value for name, value in options.items() if name != "outdir"}
    shown["dataset"] = Path(shown["dataset"]).name
    if (init := shown.get("init")) and Path(init).exists():  # else a model of the Hub
        shown["init"] = Path(init).resolve().name
    return shown


def _kept_id(folder: Path) -> str:
    """Return the id of a run folder, made at the first call."""
    path = folder / ID_FILE
    if path.is_file() and (found := path.read_text(encoding="utf-8").strip()):
        return found
    made = secrets.token_hex(4)
    with write_atomic(path) as file:
        file.write(f"{made}\n".encode())
    return made
