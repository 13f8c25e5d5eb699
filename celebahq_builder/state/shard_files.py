"""The shard files beside the output of a build: the joined ones, those that an ended build left, the next ones."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from celebahq.files import partial_path, write_atomic
from celebahq_builder.hdf5_format.levels import DatasetError
from celebahq_builder.hdf5_format.shards import SET_ATTRIBUTE, joined_spans, shard_names, shard_pattern
from celebahq_builder.hdf5_format.validation import check_file, open_hdf5
from celebahq_builder.stores.upload_record import shards_in_store


class ShardFiles:
    """The shards of one output. A set never takes a name that the output joins, so that either set is complete.

    Before a shard is made, or an old set goes out of use, the names are written into a journal in the build folder:
    what it names and the output does not join is nobody's, and swept.

    Args:
        output: of the build; where it is a link, the shards lie beside the file that it leads to.
    """

    def __init__(self, output: Path) -> None:
        self.output = output.resolve()
        self.folder = self.output.parent
        self._journal = output.with_name(output.name + ".build") / "shards.json"

    def joined(self) -> list[str]:
        """Return the names that the output joins; [] where there is none, or all its bytes are its own.

        Raises:
            DatasetError: it cannot be read.
        """
        if not self.output.exists():
            return []
        with open_hdf5(self.output) as file:
            return [span.name for span in joined_spans(self.output, file)]

    def paths(self) -> list[Path]:
        """Return the files that the output joins."""
        return [self.folder / name for name in self.joined()]

    def foreign(self) -> list[Path]:
        """Return the files that would pass for shards of the output, and are none that a build of it made."""
        pattern, ours = shard_pattern(self.output), {*self.joined(), *self._noted()}
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if pattern.fullmatch(path.name) and path.name not in ours)

    def plan(self, count: int, digest: str) -> list[Path]:
        """Return where the shards of a new set go. What lies there afterwards are complete shards of it.

        What other sets left that are not joined is swept.

        Raises:
            FileExistsError: one of the names is taken by somebody else's file.
        """
        now = self.joined()
        elsewhere = shards_in_store(self.output)  # an older set, while a newer one is here: a third name is needed
        revisions = (shard_names(self.output, count, r) for r in itertools.count(1))
        names = next(names for names in revisions if names != now and elsewhere.isdisjoint(names))
        ours = {*now, *self._noted()}
        if strange := [name for name in names if name not in ours and (self.folder / name).exists()]:
            raise FileExistsError(f"{self.folder / strange[0]}: exists already, and is not overwritten")
        self._note([*ours, *names])
        for name in {*self._noted()} - {*now}:
            if name not in names or not self.is_complete(self.folder / name, digest):
                self._remove(name)
        return [self.folder / name for name in names]

    def is_complete(self, path: Path, digest: str) -> bool:
        """Say whether a shard of this set is there: it took its name once all its bytes were on the disk."""
        try:
            check_file(path)
            with open_hdf5(path) as file:
                return file.attrs.get(SET_ATTRIBUTE) == digest
        except DatasetError:
            return False

    def retire(self) -> None:
        """Note the set that is joined now: once the output no longer joins it, it is swept."""
        if now := self.joined():
            self._note([*self._noted(), *now])

    def sweep(self) -> None:
        """Remove the files that the journal names and the output does not join; then the journal."""
        if not self._journal.exists():
            return
        try:
            now = {*self.joined()}
        except DatasetError:  # somebody exchanged it: better a file too many
            return
        for name in {*self._noted()} - now:
            self._remove(name)
        self._journal.unlink()

    def _remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        partial_path(path).unlink(missing_ok=True)

    def _noted(self) -> list[str]:
        try:
            names = json.loads(self._journal.read_bytes())
        except (OSError, ValueError):
            return []
        pattern = shard_pattern(self.output)
        return [name for name in names if isinstance(name, str) and pattern.fullmatch(name)]

    def _note(self, names: Sequence[str]) -> None:
        with write_atomic(self._journal, durable=True) as file:
            file.write(json.dumps(sorted({*names})).encode())
