"""All photos through the executor: their rows go into the manifest, their faces onto the disk while among the best."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from celebahq.files import printable
from celebahq.progress import progress
from celebahq_builder.cluster.face_delivery import share_folder
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.executors import Kept, OnSlow, run
from celebahq_builder.landmark_lists.match import Listed
from celebahq_builder.process_photo import Result, Task, process_task, refused
from celebahq_builder.sources.input_photos import file_stamp
from celebahq_builder.sources.remote import url_of
from celebahq_builder.state.best_faces import BestFaces, Choice, choose
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.failure import Failure, Limits
from celebahq_builder.state.manifest import ManifestWriter, Row, write_manifest
from celebahq_builder.state.name_lists import NameLists
from celebahq_builder.state.photo_changes import content_sha256
from celebahq_builder.state.row_table import RowTable, RowView, keys_of

if TYPE_CHECKING:
    from celebahq_builder.cluster.ray_pool import RayCluster

_LAST = 8
"""Photos a worker at the end of a build, the largest of which come first."""


@dataclass(frozen=True)
class Photos:
    """What there is to work on."""

    config: BuildConfig
    names: list[str]
    landmarks: Listed | None
    """What the list of landmarks says of every photo; None where there is no list."""
    places: dict[str, int] | None = None
    """Of every photo in the list of --image-list; None where there is no list."""
    lists: NameLists = field(default_factory=NameLists)
    """Of --exclude and --include."""
    looked_for: float | None = None
    """Least distance between the eyes that faces are looked for with; None: --min-face."""
    cluster: "RayCluster | None" = None
    """Where --ray works; None: in processes of this machine."""
    packed: bool = False
    """Whether faces wait packed; on a cluster they do in any case."""
    kept: Kept | None = None
    """Processes of this machine from one use to the next (executors.keep_workers); None: they end with each."""

    def outcomes(
        self,
        tasks: list[Task],
        note: Callable[[str], None],
        folder: BuildFolder,
        cutoff: Callable[[], float | None] = lambda: None,
    ) -> Iterator[tuple[Task, Result | Failure]]:
        """Yield every task with what became of it, in any order.

        Args:
            note: tells which photo takes long.
            folder: into which a cluster writes faces.
            cutoff: tells the least score with which a face may still be chosen; a cluster drops those below it.
        """
        if self.cluster is not None:
            faces = share_folder(folder.faces)
            return self.cluster.run(process_task, tasks, limits(self.config), faces, cutoff, restores=True)
        # Asked when a worker takes it: the disk may be full by then.
        as_room_is = (replace(task, packed=task.packed or folder.room.is_short) for task in tasks)
        return run(process_task, as_room_is, self.config.workers, limits(self.config), say_slow(note), self.kept)

    def task(self, name: str) -> Task:
        """Return what a worker needs to know of one photo."""
        landmarks = None if self.landmarks is None else self.landmarks[name]
        place = None if self.places is None else self.places[name]
        packed = self.packed or self.cluster is not None
        return Task(name, self.config, landmarks, place, self.lists.include.indices(name), self.looked_for, packed)


def limits(config: BuildConfig) -> Limits:
    """Return what one photo may take."""
    return Limits(config.photo_seconds, config.photo_gib)


def process_photos(folder: BuildFolder, photos: Photos, before: RowTable) -> RowTable:
    """Process every photo that has no row yet; return the new rows.

    At any moment at most config.keep aligned faces are on the disk; files that a cluster wrote may hold more.
    """
    config, lists = photos.config, photos.lists
    best, rows = BestFaces(config.keep, config.dedupe), RowTable()
    for row in _in_the_running(before, photos):
        best.offer(row, lists.include.has(row))
    folder.remove_all_faces_but(best.rows())

    done = before.sources()
    tasks = large_before_the_end([photos.task(name) for name in photos.names if name not in done], config)
    num_refused, left = len(before) - len(before.aligned), len(tasks)
    with ManifestWriter(folder.manifest) as manifest, progress("photos", len(tasks)) as bar:
        for task, outcome in photos.outcomes(tasks, bar.note, folder, best.cutoff):
            result = _result(task, outcome)
            folder.arrived(result.faces.values())
            # Faces first, their rows after them: a row in the manifest means that its face was on the disk.
            for row in result.rows:
                if row.status == "refused":
                    num_refused += 1
                    continue
                if lists.left_out(row):
                    continue
                entered, evicted, _ = best.offer(row, lists.include.has(row))
                for other in evicted:
                    folder.remove_face(other)
                if entered:
                    folder.add_face(row, result.faces.get(row.face_index))
            folder.room.for_work(partial(manifest.append, result.rows))
            rows += result.rows
            where = ""
            if photos.cluster is not None:
                left -= 1
                photos.cluster.count(result.rows, result.seconds, len(best), left)
                where = f"; {photos.cluster.state}"
            bar.advance(note=f"{len(best)} faces, {num_refused} refused{where}")
    if photos.cluster is not None:
        photos.cluster.tell_stages()
    return rows


def large_before_the_end(tasks: list[Task], config: BuildConfig) -> list[Task]:
    """Put the largest files of the last few a worker first among these, or one is at work when the others have ended.

    Not of all: the largest photos of a million, all at once, would need the most memory.
    """
    if config.workers < 2 or config.ray is not None or url_of(config.input):
        return tasks
    rest = max(len(tasks) - _LAST * config.workers, 0)
    return tasks[:rest] + sorted(tasks[rest:], key=lambda task: -file_stamp(config.input, task.name).num_bytes)


def _in_the_running(before: RowTable, photos: Photos) -> Iterable[Row]:
    """Return the faces of before that may be among the best; of faces that are near each other, the order counts."""
    if photos.config.dedupe == "near" or photos.lists.include:
        return (row for row in RowView(before, before.aligned) if not photos.lists.left_out(row))
    return choose(before, photos.config.keep, photos.config.dedupe, photos.lists).kept


def process_missing(folder: BuildFolder, photos: Photos, header: dict, rows: RowTable) -> tuple[RowTable, Choice]:
    """Choose the best faces and see to it that each is on the disk.

    All are, but for a larger --keep, another --dedupe or other lists than before, or a chain of near duplicates. A
    photo that fails now gets the row of a failure, and others are chosen.

    Args:
        header: of the manifest.
        rows: of all photos.

    Returns:
        The rows, changed where a photo failed now, and the choice.

    Raises:
        BuildError: a photo is not the one any more that was aligned before.
    """
    while True:
        choice = choose(rows, photos.config.keep, photos.config.dedupe, photos.lists)
        folder.remove_all_faces_but(choice.kept)
        missing = [row for row in choice.kept if not folder.has_face(row)]
        if not missing:
            return rows, choice
        again = _process_again(folder, photos, missing, choice)
        done = {row.source for row in again}
        rows = RowTable(itertools.chain((row for row in rows if row.source not in done), again))
        folder.room.for_work(partial(write_manifest, folder.manifest, header, rows))


def _process_again(folder: BuildFolder, photos: Photos, missing: list[Row], choice: Choice) -> list[Row]:
    """Put the missing faces onto the disk; return all rows of their photos, as they are now.

    They are what they were, but where a photo failed, or where other versions of the libraries compute other last
    digits: then the choice is made again.
    """
    again: list[Row] = []
    kept = set(keys_of(choice.kept))
    hashes = {row.source: row.source_sha256 for row in missing}
    tasks = [photos.task(name) for name in sorted(hashes)]
    with progress("photos to align again", len(tasks)) as bar:
        for task, outcome in photos.outcomes(tasks, bar.note, folder):
            result = _result(task, outcome)
            folder.arrived(result.faces.values())
            if not isinstance(outcome, Failure) and result.rows[0].source_sha256 != hashes[task.name]:
                raise BuildError(
                    f"{task.name}: the photo changed while the build was at work; run the same command again"
                )
            again += result.rows
            for row in result.rows:
                if row.key in kept and row.status == "aligned" and not folder.is_in_earlier_file(row):
                    folder.add_face(row, result.faces[row.face_index])
            bar.advance()
    return again


def say_slow(note: Callable[[str], None]) -> OnSlow:
    """Return what tells the progress line which photo takes long."""

    def tell(slow: list[tuple[str, float]]) -> None:
        if slow:
            name, seconds = slow[0]
            others = f" and {len(slow) - 1} more" if len(slow) > 1 else ""
            note(f"{printable(name)} takes long, {seconds:.0f} s so far{others}")

    return tell


def _result(task: Task, outcome: Result | Failure) -> Result:
    if not isinstance(outcome, Failure):
        return outcome
    root, why = task.config.input, UnusablePhotoError(outcome.reason, outcome.detail)
    facts = {"source_sha256": content_sha256(root, task.name), "traceback": outcome.traceback}
    return Result([refused(task.name, file_stamp(root, task.name), why, **facts)])


def count_reasons(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """Return (reason, how many photos and faces were refused for it), the most frequent first."""
    counts = Counter(row.reason for row in rows if row.status == "refused")
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
