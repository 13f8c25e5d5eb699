"""What a build made: the result that build() returns, and the lines that the command ends with."""

import logging
import shlex
from dataclasses import dataclass
from pathlib import Path

from celebahq.files import printable
from celebahq_builder.config import BuildConfig
from celebahq_builder.report.training_time import training_estimate
from celebahq_builder.sources.input_photos import left_out
from celebahq_builder.sources.listing import Listing
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.file_rows import FileRows
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.shard_files import ShardFiles

_log = logging.getLogger("celebahq.build")


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What build() made of the photos, or found made already."""

    output: Path
    """The dataset; without any face there is none."""
    report: Path
    """The page report.html beside it."""
    url: str = ""
    """Where it was sent, with what lies beside it."""
    num_photos: int
    num_faces: int
    """Rows of the dataset."""
    num_duplicates: int | None = None
    """Faces left out because an equal one is in it. None, like all below, where the dataset was complete already."""
    num_below_cutoff: int | None = None
    """Faces not among the best --keep."""
    num_excluded: int | None = None
    """Faces that --exclude names."""
    refused: dict[str, int] | None = None
    """Reason -> how many photos and faces were refused for it, the most frequent first; faults are among them."""
    marks: dict[str, int] | None = None
    """Mark -> how many rows of the dataset have it, the most frequent first."""
    faults: tuple[Row, ...] = ()
    """Rows of the photos that failed, which the same command tries again."""


def build_result(config: BuildConfig, num_photos: int, found: FileRows, choice: Choice, report: Path) -> BuildResult:
    """Return what a build comes to.

    Args:
        found: the rows of all photos.
    """
    return BuildResult(
        output=config.output,
        report=report,
        num_photos=num_photos,
        num_faces=len(choice.kept),
        num_duplicates=len(choice.duplicates),
        num_below_cutoff=len(choice.below_cutoff),
        num_excluded=len(choice.excluded),
        refused={reason: len(places) for reason, places in found.counts.refused.items()},
        marks=found.counts.marks,
        faults=tuple(row for row in found.table.looked if is_failure(row.reason)),
    )


def log_summary(config: BuildConfig, listing: Listing, result: BuildResult) -> None:
    """Tell what was made, what was left out and why, and what to do next."""
    shards = ShardFiles(config.output).paths()
    num_bytes = sum(path.stat().st_size for path in (config.output, *shards))
    size = f"{config.resolution}x{config.resolution}, {num_bytes / 1e6:,.1f} MB"
    size += f" in {len(shards):,} shard{'s'[: len(shards) > 1]}" if shards else ""
    lines = [
        (result.num_photos, "photos"),
        (result.num_faces, f"faces in {printable(config.output)}, {size}"),
    ]
    if result.num_below_cutoff:
        lines.append((result.num_below_cutoff, f"faces not among the best {config.keep}"))
    if result.num_excluded:
        lines.append((result.num_excluded, "faces excluded by --exclude"))
    if result.num_duplicates:
        lines.append((result.num_duplicates, "duplicates"))
    lines += [(count, f"of those faces marked {mark}") for mark, count in (result.marks or {}).items()]
    lines += [(count, f"refused: {reason}") for reason, count in (result.refused or {}).items()]
    width = len(f"{max(count for count, _ in lines):,}")
    _log.info("")
    for count, text in lines:
        _log.info(f"{count:>{width},}  {text}")
    if listing.left_out:
        _log.info(f"\nNo photos:     {left_out(listing)}")
    time, too_long = training_estimate(config.resolution)
    train = f"python -m train --dataset {shlex.quote(printable(config.output))}"
    _log.info(f"\nLook at them:  {printable(result.report)}")
    _log.info(f"Train on them: {train}\n               takes {time}")
    if too_long and config.resolution >= 32:
        _log.info(f"Try it first:  {train} --preset smoke\n               4x4 to 32x32 in minutes")
