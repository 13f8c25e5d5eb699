"""python -m export video: a film of faces that turn into each other."""

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from celebahq.files import atomic_path
from celebahq.progress import progress
from export.config import UsageError, VideoConfig
from export.generators import AnyGenerator, Clock, load_generator, model_sha256
from export.latent_path import latent_path
from export.sample import MAX_SEED, image_grid, parse_label
from export.seeds import label_caption, parse_grid

_log = logging.getLogger("celebahq.export")

LARGEST_SIDE = 8192
"""Pixels a side above which hardly any player decodes H.264."""


@dataclass(frozen=True)
class VideoReport:
    """What was filmed, by what, how fast."""

    output: Path
    frames: int
    fps: float
    width: int
    height: int
    images: int
    """Faces generated; 0 where the film was there already."""
    seconds: float
    """Time in the network and its transfers."""
    runs_on: str

    def __str__(self) -> str:
        film = f"{self.frames} frames of {self.width}x{self.height}, {self.frames / self.fps:.1f} s at {self.fps:g} fps"
        if not self.images:
            return f"{self.output}: already there, {film}"
        rate = self.images / max(self.seconds, 1e-9)
        size = self.output.stat().st_size / 1e6
        return f"{self.output}: {film}, {size:.1f} MB, {self.runs_on}, {self.seconds:.1f} s, {rate:.2f} images/s"


def make_video(config: VideoConfig) -> VideoReport:
    """Generate a film and write it as MP4 (H.264, plays everywhere); the file appears whole or not at all.

    Raises:
        UsageError: an option, the model or the output cannot be used, or PyAV is not installed.
    """
    # The request, before anything is loaded.
    columns, rows = parse_grid(config.grid)
    frames = check_options(config)
    try:
        import av
    except ImportError:
        raise UsageError("PyAV: not installed, expected it for films: pip install av (or celebahq[video])") from None

    # The generator, the size of the image, and what the film will say of itself.
    generator = load_generator(config.model, config.device)
    label = parse_label(config.label, generator.label_size, generator.label_names)
    side = config.resolution or generator.resolution
    if side < 1 or (generator.resolution % side and side % generator.resolution):
        raise UsageError(
            f"--resolution: got {side}, expected {generator.resolution}, a multiple or an integer fraction of it"
        )
    width, height = columns * side, rows * side
    if max(width, height) > LARGEST_SIDE or width % 2 or height % 2:
        raise UsageError(f"--grid: got {width}x{height} pixels, expected even numbers of at most {LARGEST_SIDE}")
    described = {"model_sha256": model_sha256(generator, config.model), "resolution": side}
    described |= {name: getattr(config, name) for name in ("seconds", "fps", "grid", "seed", "style", "loop", "crf")}
    said = None if label is None else label_caption(label)
    described["label"] = int(said) if said and said.isdecimal() else said
    caption = json.dumps(described)
    count = 0 if is_filmed(config.output, caption, config.overwrite) else frames * columns * rows
    report = VideoReport(config.output, frames, config.fps, width, height, count, 0.0, generator.runs_on)
    if not count:
        return report

    # Latents, then frame by frame to disk.
    path = latent_path(
        frames,
        columns * rows,
        generator.latent_size,
        fps=config.fps,
        seed=config.seed,
        style=config.style,
        loop=config.loop,
    )
    if generator.note:
        _log.warning(generator.note)
    try:
        config.output.parent.mkdir(parents=True, exist_ok=True)
        with (
            progress(str(config.output), count, "images") as bar,
            atomic_path(config.output) as partial,
            av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container,
        ):
            clock = Clock(bar)
            container.metadata["comment"] = caption
            stream = container.add_stream("libx264", rate=Fraction(config.fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            # Named, because players otherwise guess the colors from the size.
            tags = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
            stream.options = {"crf": str(config.crf), "preset": "medium", "x264-params": tags}
            for images in frames_of(generator, path, config, clock, label):
                image = image_grid(resized(images, side), columns)
                frame = av.VideoFrame.from_ndarray(np.repeat(image, 3 // image.shape[2], axis=2), "rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except OSError as error:
        raise UsageError(
            f"{config.output}: cannot be written ({error.strerror or error}), expected a writable folder with room"
        ) from None
    return VideoReport(config.output, frames, config.fps, width, height, count, clock.seconds, generator.runs_on)


def check_options(config: VideoConfig) -> int:
    """Return the number of frames.

    Raises:
        UsageError: an option cannot be used.
    """
    if config.output.suffix.lower() != ".mp4" or config.output.is_dir():
        raise UsageError(f"--output: got {config.output}, expected the name of an .mp4 file")
    for name, least, most in (("fps", 1, 240), ("seconds", 0, 3600), ("crf", 0, 51), ("batch", 1, 4096)):
        value = getattr(config, name)
        if not (math.isfinite(value) and least <= value <= most):
            raise UsageError(f"--{name}: got {value}, expected {least} to {most}")
    if not 0 <= config.seed <= MAX_SEED:
        raise UsageError(f"--seed: got {config.seed}, expected 0 to {MAX_SEED}")
    frames = round(config.seconds * config.fps)
    if frames < 2:
        raise UsageError(f"--seconds: got {config.seconds} at {config.fps:g} fps, expected 2 frames or more")
    return frames


def is_filmed(output: Path, caption: str, overwrite: bool) -> bool:
    """Whether the film is there already.

    Raises:
        UsageError: another file is, and overwrite is False.
    """
    import av

    if not output.exists() or overwrite:
        return False
    try:
        with av.open(str(output)) as container:
            if container.metadata.get("comment") == caption:
                return True
    except (OSError, ValueError):  # no film at all
        pass
    raise UsageError(
        f"{output}: got another film there already, expected the same; give another --output or --overwrite"
    )


def frames_of(
    generator: AnyGenerator, path: np.ndarray, config: VideoConfig, clock: Clock, label: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield the faces of each frame, (faces, R, R, C) uint8; batches go over the bounds of frames."""
    frames, faces, latent_size = path.shape
    flat, waiting = path.reshape(frames * faces, latent_size), []
    for first in range(0, len(flat), config.batch):
        z = flat[first : first + config.batch]
        labels = None if label is None else label[None].repeat(len(z), axis=0)
        start = time.perf_counter()
        waiting += list(generator.uint8_images(z, labels))
        clock.add(len(z), time.perf_counter() - start)
        while len(waiting) >= faces:
            yield np.stack(waiting[:faces])
            del waiting[:faces]


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Return images (N, R, R, C) uint8 as (N, side, side, C): means of whole cells, or each pixel repeated."""
    count, resolution, _, channels = images.shape
    if side >= resolution:
        return images.repeat(side // resolution, axis=1).repeat(side // resolution, axis=2)
    cells = images.reshape(count, side, resolution // side, side, resolution // side, channels)
    return np.rint(cells.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
