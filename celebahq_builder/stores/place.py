"""The place of a set in a store: the folder that its URL names, and what lies there."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from celebahq_builder.sources.archives import FileStamp
from celebahq_builder.sources.remote import open_url, patiently, refuse_secrets, remote_error, stamp_of
from celebahq_builder.stores.send_file import protocols

_NO_LISTS = {"http", "https"}
_BUCKETS = {"s3", "s3a", "gs", "gcs"}


@dataclass(frozen=True, eq=False)
class Place:
    """Where a set lies: `folder` in the file system `system`, the dataset there called `name`."""

    url: str
    system: Any
    folder: str
    name: str

    def of(self, name: str) -> str:
        """Return where a file of the set lies."""
        return f"{self.folder}/{name}"

    def url_of(self, name: str) -> str:
        """Return the URL of a file of the set."""
        return f"{self.url.rpartition('/')[0]}/{name}"

    def listing(self, *folders: str) -> dict[str, dict]:
        """Return name -> what the store says, of all files beside the dataset and in folders beside it.

        Raises:
            RemoteError: no access, no such bucket, no answer.
        """
        try:
            self.system.invalidate_cache()
            if protocols(self.system) & _NO_LISTS:
                return {self.name: patiently(lambda: self.system.info(self.of(self.name)))}
            found = {}
            for inner in ("", *(f"{folder}/" for folder in folders)):
                try:
                    listed = patiently(partial(self.system.ls, self.of(inner).rstrip("/"), detail=True), self.url)
                except FileNotFoundError:  # which a store says of a folder without objects, too
                    if not inner and has_buckets(self.system):
                        patiently(lambda: self.system.info(self.folder.partition("/")[0]))
                    continue
                for info in listed:
                    if info.get("type", "file") == "file":
                        found[inner + str(info["name"]).rstrip("/").rpartition("/")[2]] = info
        except Exception as error:
            raise remote_error(self.url, error, "expected a place that can be listed") from None
        return found


def has_buckets(system: Any) -> bool:
    """Say whether a store has buckets, which must be there, and in them no folders, which need not be made."""
    return bool(protocols(system) & _BUCKETS)


def open_place(url: str) -> Place:
    """Return the place that a URL names, s3://bucket/folder/celebahq.h5, without asking the network.

    Raises:
        RemoteError: a URL with credentials, of a kind that is not installed.
    """
    refuse_secrets(url)
    try:
        system, root = open_url(url)
    except Exception as error:
        raise remote_error(url, error, "expected one that can be opened") from None
    folder, _, name = root.rstrip("/").rpartition("/")
    return Place(url, system, folder, name)


def stamp(info: dict | None) -> FileStamp:
    """Return size and version of what a store says of an object; -1 and 0 where there is none."""
    return FileStamp(-1, 0) if info is None else stamp_of(info)
