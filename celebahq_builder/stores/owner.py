"""<output>.owner.json beside a set in a store: which run makes and sends it just now; another one ends with a line.

It is made by a conditional put where the store has one, otherwise written and read back, and written anew every minute.
A run that was killed leaves it: the same work folder takes it over, any other once it has not changed for ten minutes.
"""

import contextlib
import errno
import json
import logging
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from celebahq.files import PARTIAL, lock, printable
from celebahq_builder.config import BuildError
from celebahq_builder.sources.remote import patiently, remote_error
from celebahq_builder.stores.place import Place, has_buckets
from celebahq_builder.stores.send_file import is_s3, is_whole_or_not, protocols

_log = logging.getLogger("celebahq.build")
REFRESH, WATCH, EXPIRES = 60.0, 90.0, 600.0
"""Seconds between two signs of life; how long one is waited for; after how many without any an owner counts as dead."""
SETTLE = 2.0
"""Seconds until it is read back where a put has no condition: who wrote at the same time has done so by then."""
_CONDITIONAL = {"s3", "s3a", "gs", "gcs", "memory"}
"""Stores that create an object only where there is none, in one step."""


@dataclass(frozen=True)
class Claim:
    """What the object says: times are ISO 8601, UTC, by the clock of that machine."""

    host: str
    work: str
    """Which work folder: a random name, since paths are nobody's business."""
    token: str
    """Of one run."""
    since: str
    seen: str

    def age(self) -> float:
        """Return how many seconds ago it was seen."""
        return (_now() - datetime.fromisoformat(self.seen)).total_seconds()


class Owner:
    """Hold a set in a store while the `with` block lasts.

    Args:
        work: the name of the work folder.
        lock_path: a file in it, which one process of this machine locks.

    Raises:
        BuildError: somebody else holds it, or something else has that name.
        RemoteError: the store does not take it.
    """

    def __init__(self, place: Place, work: str, lock_path: Path) -> None:
        self._place, self._lock_path = place, lock_path
        self._name = f"{place.name}.owner.json"
        now = _text(_now())
        self._mine = Claim(socket.gethostname(), work, secrets.token_hex(8), now, now)
        self._taken: Claim | None = None
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self._lock_path.open("a")
        try:
            self._take(is_locked=lock(self._lock))
        except BlockingIOError:
            self._lock.close()
            folder = self._lock_path.parent
            raise BuildError(f"--work: got {folder}, where another build is at work; wait, or give another") from None
        except BaseException:
            self._lock.close()
            raise
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(Exception):  # then it expires
            if (found := self._read()) is not None and found[0].token == self._mine.token:
                self._place.system.rm_file(self._place.of(self._name))
        self._lock.close()

    def require(self) -> None:
        """Raise BuildError where another run has taken the set over, as after this machine had slept."""
        found = self._read()
        if self._taken is None and found is not None and found[0].token != self._mine.token:
            self._taken = found[0]
        if self._taken is not None:
            raise self._held(self._taken)
        if found is None:  # somebody tidied up
            self._write(None)

    def _take(self, is_locked: bool) -> None:
        while True:
            found = self._read()
            if found is None:
                if self._write(None):
                    return
                continue
            claim, version = found
            ours = claim.work == self._mine.work
            # A process of this work folder on this machine would hold its lock.
            if not (ours and is_locked and claim.host == self._mine.host):
                if not ours and claim.age() < EXPIRES:
                    raise self._held(claim)
                self._watch(claim)
            if self._write(version):
                return

    def _watch(self, claim: Claim) -> None:
        """Wait for a sign of life, since clocks may differ; BuildError where one came."""
        what = f"{printable(self._place.url)}: was held by a run on {printable(claim.host)}"
        _log.info(f"{what} that looks dead; for {WATCH:.0f} s it is seen whether it lives")
        end = time.monotonic() + WATCH
        while time.monotonic() < end:
            time.sleep(min(WATCH / 10, 5.0))
            found = self._read()
            if found is None:
                return
            if found[0] != claim:
                raise self._held(found[0])

    def _keep(self) -> None:
        """Give signs of life until the end, or until somebody else took over."""
        while not self._over.wait(REFRESH):
            with contextlib.suppress(Exception):  # the next one may arrive
                found = self._read()
                if found is not None and found[0].token != self._mine.token:
                    self._taken = found[0]
                    return
                self._mine = replace(self._mine, seen=_text(_now()))
                self._write(None if found is None else found[1])

    def _read(self) -> tuple[Claim, str] | None:
        """Return what the object says and its version; None where there is none."""
        system, at = self._place.system, self._place.of(self._name)

        def read() -> tuple[bytes, str]:
            system.invalidate_cache()
            version = str(system.info(at).get("ETag") or "")  # before the bytes: a later change is noticed
            return system.cat_file(at), version

        end = time.monotonic() + SETTLE
        while True:
            try:
                data, version = patiently(read)
            except FileNotFoundError:
                return None
            except Exception as error:  # whatever the store's library raises
                raise remote_error(self._place.url_of(self._name), error, "expected one that can be read") from None
            try:
                claim = Claim(**json.loads(data))
                claim.age()
            except (ValueError, TypeError):
                if time.monotonic() < end and not is_whole_or_not(system):
                    time.sleep(SETTLE / 10)  # it may be on its way
                    continue
                what = f"{self._place.url_of(self._name)}: got something else, expected what a build writes there"
                raise BuildError(f"{what}; move it away") from None
            return claim, version

    def _write(self, version: str | None) -> bool:
        """Write our claim in the place of that version, or None: of none; return whether it is there then."""
        system, at = self._place.system, self._place.of(self._name)
        data = json.dumps(asdict(self._mine), indent=1).encode()

        def write() -> None:
            try:
                if version is None:
                    if not has_buckets(system):
                        system.makedirs(self._place.folder, exist_ok=True)
                    system.pipe_file(at, data, mode="create")
                elif is_s3(system) and version:
                    bucket, key, _ = system.split_path(at)
                    system.call_s3("put_object", Bucket=bucket, Key=key, Body=data, IfMatch=version)
                elif is_whole_or_not(system):
                    system.pipe_file(at, data)
                else:  # a reader sees the old one or the new one
                    partial = f"{at}.{self._mine.token}{PARTIAL}"
                    system.pipe_file(partial, data)
                    system.mv(partial, at)
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno != errno.EINVAL:  # s3fs: a condition does not hold
                    raise

        try:
            patiently(write)
        except Exception as error:
            raise remote_error(self._place.url_of(self._name), error, "expected a place that takes it") from None
        if not (is_s3(system) if version else protocols(system) & _CONDITIONAL and version is None):
            time.sleep(SETTLE)
        found = self._read()
        return found is not None and found[0].token == self._mine.token

    def _held(self, claim: Claim) -> BuildError:
        until = datetime.fromisoformat(claim.seen) + timedelta(seconds=EXPIRES)
        where, since = self._place.url_of(self._name), datetime.fromisoformat(claim.since)
        return BuildError(
            f"--output: got {self._place.url}, which a build on {printable(claim.host)} (work folder {claim.work}) "
            f"has held since {since:%Y-%m-%d %H:%M:%S} UTC, expected one that nobody holds; wait for its end; if it is "
            f"dead, run the same command after {until:%H:%M:%S} UTC, or remove {where}"
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
