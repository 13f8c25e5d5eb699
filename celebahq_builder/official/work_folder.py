"""<output>.build/: what is finished of an official set, so that a killed run is gone on with."""

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType

from celebahq.files import lock, write_atomic
from celebahq_builder.official.face import VERIFIED, OfficialRow
from celebahq_builder.official.image_list import OfficialError


class WorkFolder:
    """Rows as they are finished, one a line, each written after its image; and the lock against a second run.

    Args:
        path: of the folder, made if need be.
        faces: where the images are; inside of the folder, or the output itself.

    Raises:
        OfficialError: another process is at work there, or the folder is something else's.
    """

    def __init__(self, path: Path, faces: Path) -> None:
        self.path, self.faces = path, faces
        self._rows, self._lock_path = path / "official.jsonl", path / "lock"

    def __enter__(self) -> "WorkFolder":
        if self.path.is_dir() and any(self.path.iterdir()) and not self._rows.exists():
            raise OfficialError(f"{self.path}: got another folder, expected none or that of this command; move it away")
        for folder in (self.path, self.faces):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._lock_path.open("a")
        try:
            lock(self._lock)
        except BlockingIOError:
            raise OfficialError(f"{self.path}: got another process at work there, expected none; wait for it") from None
        self._rows.touch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.close()
        if error is not None and not self._rows.read_bytes() and not any(self.path.glob("*/*")):
            self.remove()  # nothing was begun
            if self.faces.is_dir() and not any(self.faces.iterdir()):
                self.faces.rmdir()

    def verified_rows(self) -> dict[int, OfficialRow]:
        """What need not be made again, by idx; the file is then rewritten to hold just this."""
        names, found = {field.name for field in fields(OfficialRow)}, {}
        for line in self._rows.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                if values.keys() == names and values["status"] == VERIFIED:
                    found[values["idx"]] = OfficialRow(**values)
            except (ValueError, AttributeError):
                continue  # the last line of a run that was killed
        found = {idx: row for idx, row in found.items() if (self.faces / f"imgHQ{idx:05d}.png").exists()}
        with write_atomic(self._rows) as file:
            file.write("".join(map(_line, found.values())).encode())
        return found

    def append(self, rows: Iterable[OfficialRow]) -> None:
        """Add rows whose images are written."""
        with self._rows.open("a", encoding="utf-8") as file:
            file.writelines(map(_line, rows))

    def remove(self) -> None:
        """Remove what this command has put there, and nothing else."""
        for folder in (self.path / "faces", self.path / "img_celeba"):
            if folder.is_dir():
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
        self._rows.unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()


def _line(row: OfficialRow) -> str:
    return json.dumps(asdict(row)) + "\n"
