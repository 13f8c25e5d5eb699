"""<output>.upload.json: what of a set is in its store, beside the set on this machine."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from celebahq.files import write_atomic
from celebahq_builder.sources.archives import FileStamp


@dataclass
class UploadRecord:
    """What this machine knows of a set in a store; saved before and after every step."""

    path: Path
    url: str
    """Of the dataset, or of the file that joins its shards."""
    joined: list[str] = field(default_factory=list)
    """Shards that the dataset there shows: their names are not used again before another one has taken its place."""
    noted: list[str] = field(default_factory=list)
    """Names that were sent, or were about to be: ours."""
    sent: dict[str, list[int]] = field(default_factory=dict)
    """Name -> size and time of the file here, size and version of the object that was seen to be equal."""

    work: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names the work folder where others see it."""

    def save(self) -> None:
        facts = {name: value for name, value in asdict(self).items() if name != "path"}
        with write_atomic(self.path, durable=True) as file:
            file.write(json.dumps(facts, indent=1).encode())

    def note(self, name: str) -> None:
        """Note a name before anything is sent there."""
        if name not in self.noted:
            self.noted.append(name)
            self.save()

    def confirm(self, name: str, path: Path, stamp: FileStamp) -> None:
        """Note that an object was seen to be equal to a file here."""
        status = path.stat()
        self.sent[name] = [status.st_size, status.st_mtime_ns, stamp.num_bytes, stamp.mtime_ns]
        self.noted = [*dict.fromkeys([*self.noted, name])]
        self.save()

    def is_there(self, name: str, path: Path, stamp: FileStamp) -> bool:
        """Say whether neither the file here nor the object has changed since they were seen to be equal."""
        status = path.stat()
        return self.sent.get(name) == [status.st_size, status.st_mtime_ns, stamp.num_bytes, stamp.mtime_ns]

    def is_object(self, name: str, stamp: FileStamp) -> bool:
        """Say whether an object is the one that was last seen here."""
        return self.sent.get(name, [])[2:] == [stamp.num_bytes, stamp.mtime_ns]


def record_path(output: Path) -> Path:
    """Return where the record of a set lies."""
    return output.with_name(output.name + ".upload.json")


def is_sent_away(output: Path) -> bool:
    """Say whether a set is made here only to be sent to a store."""
    return record_path(output).exists()


def read_record(output: Path) -> UploadRecord | None:
    """Return the record of a set; None where there is none that can be read."""
    try:
        facts = json.loads(record_path(output).read_bytes())
        return UploadRecord(record_path(output), **facts)
    except (OSError, ValueError, TypeError):
        return None


def shards_in_store(output: Path) -> frozenset[str]:
    """Return the shards that the dataset in the store shows, which may be an older set than the one here."""
    record: Any = read_record(output)
    return frozenset() if record is None else frozenset(record.joined)
