"""python -m export web: a generator to a folder that generates in the browser, top to bottom."""

import html
import json
import shlex
import shutil
import string
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from celebahq.progress import progress
from export.hub.license import choose_license, stated_config
from export.model_file import folder_named, place_onnx
from export.sample import MAX_SEED, OnnxGenerator, UsageError, latents, load_onnx, one_hot, to_uint8
from export.web.config import WebConfig
from export.web.directions import principal_directions
from export.web.runtime import BUILDS, VERSION, copy_runtime

LARGEST = 256
"""A browser without a graphics processor takes seconds for 256x256, and minutes for 1024x1024."""

REFERENCES = ({"seed": 0, "scale": 1}, {"seed": 1, "scale": 1}, {"seed": 0, "scale": 0})
"""The latents of the images that the page checks its generator with. WebAssembly is checked with the first, WebGPU with
all; the zero latent is where normalization without its epsilon shows."""

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class WebReport:
    """What was written."""

    output: Path
    size: int
    """Bytes of all files."""
    resolution: int

    def __str__(self) -> str:
        return (
            f"{self.output}: a page that generates {self.resolution}x{self.resolution}, {self.size / 1e6:.0f} MB\n"
            f"python -m http.server --directory {shlex.quote(str(self.output))}    shows it at http://localhost:8000"
        )


def build_page(config: WebConfig) -> WebReport:
    """Write the page; the folder takes its name only once it is whole.

    Raises:
        UsageError: an option, the model or the runtime cannot be used, or the folder is there already.
        export.onnx_export.parity.ParityError: the export does not generate what PyTorch generates.
    """
    # The request, before anything is loaded.
    if config.directions < 0:
        raise UsageError(f"--directions: got {config.directions}, expected at least 0")
    output = config.output
    folder_named(output, "--output")
    is_page = (output / "page.json").is_file() and (output / "worker.js").is_file()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        if not is_page:
            raise UsageError(f"--output: got {output}, which is there and no page, expected a new folder")
        if not config.overwrite:
            raise UsageError(f"--output: got {output}, which is a page already, expected another folder or --overwrite")

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f"{output.name}.partial-") as scratch:
            page = Path(scratch) / "page"
            page.mkdir()
            report = _write(page, config)
            replace_folder(output, page, Path(scratch) / "before")
    except OSError as error:
        where = error.filename2 or error.filename or output  # of a copy, the second is the one that is written
        raise UsageError(
            f"{where}: cannot be written ({error.strerror}), expected a writable place with room"
        ) from None
    return report


def replace_folder(folder: Path, new: Path, before: Path) -> None:
    """Give a new folder the place of one that may be there already, whose files of other names (CNAME, .git) it keeps.

    Args:
        folder: the place.
        new: what comes there.
        before: where, on the same disk, the old one lies meanwhile and what was replaced stays.
    """
    if folder.exists():
        folder.rename(before)
    new.rename(folder)
    for file in before.iterdir() if before.exists() else ():
        if not (folder / file.name).exists():
            file.rename(folder / file.name)


def _write(page: Path, config: WebConfig) -> WebReport:
    """Fill a folder."""
    # The generator and the library that runs it.
    (page / "runtime").mkdir()
    copy_runtime(page / "runtime", config.runtime)
    place_onnx(
        config.model, page / "model.onnx", resolution=config.resolution, largest=LARGEST, precision=config.precision
    )
    generator = load_onnx(page / "model.onnx", "cpu")
    if config.directions > generator.latent_size:
        raise UsageError(
            f"--directions: got {config.directions}, expected at most {generator.latent_size} of this model"
        )
    if generator.label_size:
        label = one_hot(0, generator.label_size, 1)
        generate = lambda z: generator(z, np.repeat(label, len(z), 0))  # noqa: E731
    else:
        generate = generator

    # What the page proves its generator with, and what it moves along.
    references = reference_images(generate, generator.latent_size)
    (page / "references.bin").write_bytes(references.tobytes())
    square = Image.fromarray(references[0, :, :, 0] if references.shape[3] == 1 else references[0])
    square.resize((64, 64), Image.Resampling.LANCZOS).save(page / "icon.png")
    directions = np.zeros((0, generator.latent_size), np.float32)
    if config.directions:
        with progress(f"{config.model}: directions", unit="images") as bar:
            directions = principal_directions(
                generate, generator.latent_size, config.directions, on_progress=bar.update
            )
    (page / "directions.bin").write_bytes(directions.astype("<f4").tobytes())

    # The page itself.
    for file in sorted(STATIC.iterdir()):
        if file.suffix in (".js", ".css"):
            shutil.copyfile(file, page / file.name)
    (page / "index.html").write_text(_html(config, generator), encoding="utf-8")
    (page / "page.json").write_text(json.dumps(_facts(page, config, generator, references), indent=1), encoding="utf-8")
    size = sum(file.stat().st_size for file in page.rglob("*") if file.is_file())
    return WebReport(config.output, size, generator.resolution)


def reference_images(generate: Callable[[np.ndarray], np.ndarray], latent_size: int) -> np.ndarray:
    """Return the images of REFERENCES as onnxruntime generates them here, (n, R, R, C) uint8."""
    rows = [latents([reference["seed"]], latent_size) * reference["scale"] for reference in REFERENCES]
    return np.concatenate([to_uint8(generate(row.astype(np.float32))) for row in rows])


def _facts(page: Path, config: WebConfig, generator: OnnxGenerator, references: np.ndarray) -> dict:
    """Return page.json: what app.js must know."""
    builds = {
        name: build | {"wasm_bytes": (page / "runtime" / build["wasm"]).stat().st_size}
        for name, build in BUILDS.items()
    }
    names = ("model.onnx", "references.bin", "directions.bin")
    return {
        "resolution": generator.resolution,
        "channels": references.shape[3],
        "latent_size": generator.latent_size,
        "label_size": generator.label_size,
        "label_names": generator.label_names or [str(i) for i in range(generator.label_size)],
        "directions": config.directions,
        "references": REFERENCES,
        "runtime": builds,
        "files": {name: (page / name).stat().st_size for name in names},
        "model_sha256": generator.metadata.get("source_sha256", ""),
    }


def _html(config: WebConfig, generator: OnnxGenerator) -> str:
    """Return index.html with the words that are this model's."""
    terms = choose_license(stated_config(generator))
    stated = [f"{text} ({what})" for text, what in ((terms.weights, "weights"), (terms.data, "data")) if text]
    stated += ["not for commercial use"] if terms.non_commercial else []
    words = {
        "title": config.title,
        "subtitle": f"{generator.resolution}×{generator.resolution} pixels, generated by your browser. "
        f"{MAX_SEED + 1:,} seeds, each a face.",
        "license": f"License of the model: {', '.join(stated)}." if stated else "",
        "resolution": str(generator.resolution),
        "runtime_version": VERSION,
    }
    template = string.Template((STATIC / "index.html").read_text(encoding="utf-8"))
    return template.substitute({name: html.escape(word) for name, word in words.items()})
