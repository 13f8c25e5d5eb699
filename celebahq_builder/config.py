"""The options of celebahq-build: one frozen dataclass that is the command line, is printed and is saved in the file."""

import math
import re
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from celebahq.device import cpu_cores
from celebahq.errors import CelebAHQError
from celebahq.files import printable
from celebahq.options import check_options
from celebahq_builder.detectors import Detector
from celebahq_builder.marks import Mark
from celebahq_builder.sources.remote import url_of

if TYPE_CHECKING:
    from celebahq_builder.report.summary import BuildResult

# What an aligned face depends on. The others say which faces are chosen, or how the work is done, and may change
# between a run and the one that resumes it.
FACE_OPTIONS = ("resolution", "faces", "restore", "geometry", "detector")
# Which faces are refused, by numbers that their rows keep: they may change, too.
THRESHOLD_OPTIONS = ("min_face", "max_padding", "max_invented")
MAX_INVENTED = 0.01  # docs/measurements.md: from which photographs that is
AUTO_SHARD_FACES = 10_000
MOST_SHARDS = 99_999  # the digits of their names
# A bucket alone is no file, and a folder whose / at the end is lost in a path would be taken for one.
_FILE_URL = re.compile(r"((file|local|memory)://|[^:]+://[^/]+/).*\.[^/.]+")
_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_RAY_ADDRESS = re.compile(r"auto|local|(\[[0-9a-fA-F:.]+\]|[\w.-]+):" + _PORT)
CHOOSING_OPTIONS = ("keep", "refuse", "dedupe", "compression")


class BuildError(CelebAHQError):
    """The build cannot begin or go on; the message is one line for the user: what was found and what is expected."""


class BuildIncompleteError(BuildError):
    """The build is done but for photos that failed, which the same command tries again; the message says how many."""

    exit_code = 1

    def __init__(self, message: str, result: "BuildResult | None" = None) -> None:
        super().__init__(message)
        self.result = result
        """What was made nevertheless."""


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """Turn in-the-wild photographs into celebahq.h5: aligned faces, the best first, at every power of two.

    Run the same command again to continue after an interruption, whatever caused it.
    """

    input: Path
    """Folder of photographs, searched to any depth; or a zip or tar of them (nothing is unpacked), a text file (.txt,
    .lst) that lists paths, one a line, or one photograph. Or a URL that fsspec opens, s3://bucket/photos, gs:// or
    hf://datasets/NAME/folder (pip install 'celebahq[cloud]' for the first two): nothing is stored here but faces."""
    output: Path = Path("celebahq.h5")
    """HDF5 file to make. report.html goes beside it; <output>.build/ holds the work until it is finished. Or a URL,
    s3://bucket/faces/celebahq.h5: the file is made in --work, then sent there with what lies beside it."""
    work: Path | None = None
    """With a URL as --output: folder of this machine where the set is made and then stays, so that the same command
    need not fetch it. Left out: the file's name with .work behind it, in the current folder."""
    landmarks: Path | None = None
    """Five points a photo instead of detecting faces: CelebA's list_landmarks_celeba.txt, a CSV of the same columns, or
    FFHQ's json. In pixels of the photo as it is stored: where EXIF turns a photo, its points are turned along."""
    image_list: Path | None = None
    """image_list.txt of the official CelebA-HQ: of CelebA in the wild, just its photographs, in the authors' order
    instead of the best first; nothing is dropped as a duplicate."""
    keep: int = 30_000
    """How many faces to keep: the best by quality score."""
    resolution: int = 1024
    """Side of a face in pixels, a power of two from 16 to 1024; the file also holds every level below."""
    faces: Literal["largest", "all", "center"] = "largest"
    """Which faces of a photo with several: the largest, all of them, or the one nearest to the middle."""
    restore: Literal["auto", "full", "fast", "fast-free", "off"] = "auto"
    """Before the crop: removal of JPEG artifacts, and 4x super-resolution of faces smaller than half the resolution.
    auto: full on a GPU, fast on a CPU, both under CC BY-NC 4.0. fast-free, as large as fast and not quite as good, was
    trained on free images alone and is under the Apache License 2.0."""
    self_ensemble: bool = False
    """Remove JPEG artifacts eight times, from the photo turned and mirrored, and average: up to 0.1 dB nearer to the
    original, for eight times the work of that step (EDSR's self-ensemble). Best with --restore full."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where that runs. auto: on a CUDA GPU where there is one. On a GPU every worker holds its own half gigabyte."""
    geometry: Literal["paper", "released", "ffhq"] = "paper"
    """The crop: as the paper describes it, as the released program computes it, or as FFHQ's does."""
    decoder: Literal["default", "libjpeg8d"] = "default"
    """Of JPEGs. libjpeg8d: the pixels that the authors' program saw (pip install 'celebahq[official]'; without it
    slowly, in Python)."""
    min_face: float = 20.0
    """Least distance between the eyes, in source pixels: a smaller face is refused."""
    max_padding: float = 1.0
    """Most of a crop that may lie outside the photo, 0 to 1. The official set pads freely; 0 takes only crops that lie
    inside their photo (FFHQ's --no-padding takes them all, and leaves black what lies outside)."""
    max_invented: float | None = None
    """Most of a face, from brows to chin, that may; one of which more is missing is refused. Left out: 0.01 (ears
    and hair may be missing, no part of the face), and 1 with --image-list, which takes what it names."""
    detector: Detector = "auto"
    """Face detector. auto: dlib's HOG, and CenterFace where that finds none (with --faces all or center always) or
    is not sure which way up a face is; or one of them alone; or dlib's slower network, cnn, which also finds turned
    and covered faces."""
    landmarks_from: Literal["dlib68", "detector"] = "dlib68"
    """What places the five points: dlib's 68-point model, or CenterFace itself (needs --detector centerface), without
    anything that was trained on 300-W."""
    refuse: tuple[Mark, ...] = ()
    """Which marks keep a face out, e.g. --refuse blurred dark. Every face is measured in its photograph and marked;
    without this option marks are only shown (docs/building.md says what each means)."""
    dedupe: Literal["exact", "near", "off"] = "exact"
    """Keep one of several equal faces: same pixels, same box; or also re-compressed and resized copies, of which one
    without words, logo or lines over it goes before one with them; or all."""
    exclude: Path | None = None
    """List of what to leave out, one a line: names of photos, or of faces as report.html gives them, `photo.jpg#0`. A
    line that begins with # is a comment."""
    include: Path | None = None
    """List of what to keep, likewise: though a threshold refuses it, it is like another, or not among the best."""
    labels: str | None = None
    """Of every photo: a .csv with a heading (name, class; or name and numbers), StyleGAN's dataset.json, CelebA's
    list_attr_celeba.txt or identity_CelebA.txt; or folders: the first folder of a photo's name is its class."""
    masks: Path | None = None
    """Folder of label maps as CelebAMask-HQ's, a PNG of one channel a photo: a/b.png for a/b.jpg, as large as it is.
    They are cut out as the faces are, with nearest sampling, and stored as masks{R}x{R}."""
    compression: Literal["none", "gzip"] = "none"
    """Of the HDF5 file. gzip is the filter of the released files: half the size, and reads 13 times slower."""
    shards: int | Literal["auto"] | None = None
    """Write that many files of equal size, celebahq-00000-of-00012.h5 ..., each a dataset of its own, and celebahq.h5
    as one over them, which everything opens as it opens one file. auto: of about 10,000 faces each."""
    workers: int = cpu_cores()
    """Processes that work side by side, one compute thread each. 0: none, all work in this process (for a debugger),
    where --photo-seconds and --photo-gib cannot be kept. With --ray auto or HOST:PORT the cluster's cores count."""
    ray: str | None = None
    """Work on a cluster of Ray (pip install 'celebahq[ray]'): auto, the one that this machine belongs to; HOST:PORT of
    its head; or local, a Ray of this machine's own with --workers cores. All nodes see --input under one path, or as a
    URL; where they see --output too, faces and shards are written by them."""
    photo_seconds: float = 300.0
    """Longest time for one photo: what it computes and waits for a disk or a network, not for a busy processor (on
    Linux; elsewhere by the clock). After that its process is replaced and the photo is left for another run."""
    photo_gib: float = 8.0
    """Most memory of the process that works on a photo, in GiB; likewise. Watched on Linux only."""
    keep_build_folder: bool = False
    """Leave <output>.build/ in place, with the manifest and the aligned faces."""

    def __post_init__(self) -> None:
        check_options(self)
        if self.resolution not in (16, 32, 64, 128, 256, 512, 1024):
            raise BuildError(f"--resolution: got {self.resolution}, expected a power of two from 16 to 1024")
        if not self.output.name:
            raise BuildError(f"--output: got {self.output}, expected the name of a file to make")
        if (url := url_of(self.output)) and not _FILE_URL.fullmatch(url):
            raise BuildError(f"--output: got {url}, expected a file in it, as {url.rstrip('/')}/celebahq.h5")
        if self.work is not None and not url:
            raise BuildError(f"--work: got {self.work} with --output {self.output}, expected a URL as --output")
        if self.keep < 1:
            raise BuildError(f"--keep: got {self.keep}, expected at least 1")
        if isinstance(self.shards, int) and not 1 <= self.shards <= MOST_SHARDS:
            raise BuildError(f"--shards: got {self.shards}, expected auto or a number from 1 to {MOST_SHARDS:,}")
        if self.workers < 0:
            raise BuildError(f"--workers: got {self.workers}, expected at least 1 (or 0: no further process)")
        if self.ray is not None and not _RAY_ADDRESS.fullmatch(self.ray):
            raise BuildError(f"--ray: got {self.ray}, expected auto, local or HOST:PORT of a cluster's head")
        if self.ray is not None and not self.workers:
            raise BuildError("--workers: got 0 with --ray, expected at least 1; a cluster has processes of its own")
        for name in ("photo_seconds", "photo_gib"):
            if not getattr(self, name) > 0:  # nan is not either
                raise BuildError(f"{flag(name)}: got {getattr(self, name)}, expected a number above 0")
        for name in ("max_padding", "max_invented"):
            if (share := getattr(self, name)) is not None and not 0 <= share <= 1:
                raise BuildError(f"{flag(name)}: got {share}, expected a share from 0 to 1")
        if not 1 <= self.min_face < math.inf:
            raise BuildError(f"--min-face: got {self.min_face}, expected a number of pixels from 1 up")
        if self.landmarks is not None and self.faces != "largest":
            raise BuildError(f"--faces: got {self.faces} with --landmarks, expected largest: it names one face a photo")
        if self.image_list is not None and self.faces == "all":
            raise BuildError("--faces: got all with --image-list, expected largest or center: one face a photo")
        if self.landmarks_from == "detector" and self.detector != "centerface":
            without = "CenterFace alone has points of its own; give --detector centerface as well, or leave it out"
            raise BuildError(
                f"--landmarks-from: got detector with --detector {self.detector}, expected dlib68: {without}"
            )
        if self.self_ensemble and self.restore == "off":
            raise BuildError("--self-ensemble: got it with --restore off, expected auto, full, fast or fast-free")
        if self.dedupe == "near" and self.resolution < 32:
            raise BuildError(f"--dedupe: got near at --resolution {self.resolution}, expected at least 32")

    @property
    def build_folder(self) -> Path:
        return self.output.with_name(self.output.name + ".build")

    def shards_of(self, num_faces: int) -> int:
        """Return how many shards so many faces make: no more than faces."""
        wanted = round(num_faces / AUTO_SHARD_FACES) if self.shards in ("auto", None) else self.shards
        return min(max(1, int(wanted)), num_faces, MOST_SHARDS)

    @property
    def invented_limit(self) -> float:
        """--max-invented, or what it is where it was left out."""
        if self.max_invented is not None:
            return self.max_invented
        return MAX_INVENTED if self.image_list is None else 1.0

    def thresholds(self) -> dict[str, float]:
        """Return what refuses faces that could be used, by option."""
        return {"min_face": self.min_face, "max_padding": self.max_padding, "max_invented": self.invented_limit}

    def face_options(self) -> dict[str, str | int | float]:
        """Options that every aligned face depends on: a build is gone on with only while they stay the same."""
        options = {name: getattr(self, name) for name in FACE_OPTIONS}
        # Left out where they change nothing: builds and files of before have no such options.
        later = {"decoder": "default", "landmarks_from": "dlib68", "self_ensemble": False}
        return options | {name: getattr(self, name) for name, old in later.items() if getattr(self, name) != old}

    def recipe(self) -> dict[str, str | int | float | list[str]]:
        """Options that the finished file depends on; neither a path of this machine nor the number of workers does."""
        chosen = {name: getattr(self, name) for name in CHOOSING_OPTIONS} | {"refuse": sorted(set(self.refuse))}
        chosen |= {} if self.shards is None else {"shards": self.shards}
        return self.face_options() | self.thresholds() | chosen

    def command(self) -> str:
        """Return the command line, with the options that are not left at their default."""
        words = ["celebahq-build"]
        for f in fields(BuildConfig):
            value = getattr(self.as_typed(), f.name)
            if value != f.default:
                values = value if isinstance(value, tuple) else () if value is True else (value,)
                words += [flag(f.name), *map(_shown, values)]
        return shlex.join(words)

    def __str__(self) -> str:
        """One option a line, as they are typed."""
        names, typed = [f.name for f in fields(BuildConfig)], self.as_typed()
        width = max(map(len, names)) + 2
        return "\n".join(f"{flag(name):<{width}}  {_shown(getattr(typed, name))}" for name in names)

    def as_typed(self) -> "BuildConfig":
        """Return the options as the user typed them, where this is what they come to on this machine."""
        return self


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_shown, value)) or "none"
    return printable((url_of(value) if isinstance(value, Path) else "") or value)


def flag(name: str) -> str:
    """Return the name of an option as it is typed: min_face -> --min-face."""
    return "--" + name.replace("_", "-")
