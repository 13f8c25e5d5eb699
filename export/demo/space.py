"""The folder of a Hugging Face Space: an application, a generator, and what the Space must know."""

import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from export import sample
from export.demo.config import DemoConfig
from export.hub.license import choose_license, stated_config
from export.model_file import folder_named, place_onnx
from export.sample import UsageError, load_onnx

HERE = Path(__file__).parent
TITLE_LINE = 'TITLE = "Generated faces"\n'
"""The line of app.py that says what it is called."""


@dataclass(frozen=True)
class SpaceReport:
    """The folder of a Space that was written."""

    folder: Path
    files: tuple[str, ...]
    size: int
    """Bytes of them all."""

    def __str__(self) -> str:
        quoted = shlex.quote(str(self.folder))
        return (
            f"{self.folder}: a Space of {len(self.files)} files, {self.size / 1e6:.1f} MB\n"
            f"pip install -r {quoted}/requirements.txt && python {quoted}/app.py    shows it here\n"
            f"hf upload ORG/NAME {quoted} --repo-type space    publishes it"
        )


def write_space(config: DemoConfig, folder: Path) -> SpaceReport:
    """Write the folder; it takes its name only once it is whole.

    Args:
        config: its model, resolution, precision and title.
        folder: a new or an empty one.

    Raises:
        UsageError: the model cannot be used, or the folder is there already or cannot be written.
        export.onnx_export.parity.ParityError: the export does not generate what PyTorch generates.
    """
    folder_named(folder, "--space")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"--space: got {folder}, which is there already, expected a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.partial-") as scratch:
            partial = Path(scratch) / "space"
            partial.mkdir()
            place_onnx(config.model, partial / "model.onnx", resolution=config.resolution, precision=config.precision)
            fill(partial, config.title)
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
    except OSError as error:
        where = error.filename2 or error.filename or folder  # of a copy, the second is the one that is written
        raise UsageError(
            f"{where}: cannot be written ({error.strerror}), expected a writable place with room"
        ) from None
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    return SpaceReport(folder, tuple(sizes), sum(sizes.values()))


def fill(folder: Path, title: str) -> None:
    """Add to a folder with model.onnx what makes it a Space."""
    app = (HERE / "app.py").read_text(encoding="utf-8")
    (folder / "app.py").write_text(app.replace(TITLE_LINE, f"TITLE = {title!r}\n"), encoding="utf-8")
    shutil.copyfile(sample.__file__, folder / "sample.py")
    shutil.copyfile(HERE / "requirements.txt", folder / "requirements.txt")
    (folder / "README.md").write_text(space_card(folder / "model.onnx", title), encoding="utf-8")


def gradio_version() -> str:
    """Return the version that the application was tested with."""
    found = re.search(r"^gradio==(\S+)$", (HERE / "requirements.txt").read_text(), re.MULTILINE)
    assert found, "requirements.txt pins it"
    return found[1]


def space_card(model: Path, title: str) -> str:
    """Return README.md: the settings that a Space is made from, and what it shows.

    The keys are those of huggingface.co/docs/hub/spaces-config-reference.
    """
    from huggingface_hub import SpaceCardData

    generator = load_onnx(model, "cpu")
    license = choose_license(stated_config(generator))
    size = f"{generator.resolution}×{generator.resolution}"
    settings = SpaceCardData(
        title=title,
        emoji="🎨",
        colorFrom="red",
        colorTo="yellow",
        sdk="gradio",
        sdk_version=gradio_version(),
        app_file="app.py",
        pinned=False,
        license=license.hub_id if license.weights else None,
        short_description=f"Faces of {size} pixels that nobody has",
    )
    terms = f"License of the weights: {license.weights or 'not stated'}."
    terms += f" Data: {license.data}." if license.data else ""
    terms += " Not for commercial use." if license.non_commercial else ""
    return (
        f"---\n{settings.to_yaml()}\n---\n\n# {title}\n\n"
        f"A progressively grown generator (Karras et al. 2018) generates faces of {size} pixels with ONNX Runtime: "
        "one face a seed, a grid, the way from face to face. The people do not exist; the images carry the "
        f"prejudices of the photographs that the generator learned from.\n\n{terms}\n\n"
        "Here: `pip install -r requirements.txt && python app.py`. Without Gradio: `python sample.py --seeds 0-15`.\n"
    )
