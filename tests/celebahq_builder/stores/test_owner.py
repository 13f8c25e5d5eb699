"""Two runs that send to one URL: one holds it, the other ends with a line; who was killed blocks nobody for long."""

import itertools
import json
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.stores import owner as owners
from celebahq_builder.stores.owner import Claim, Owner
from celebahq_builder.stores.place import open_place
from celebahq_builder.stores.upload_record import read_record

NAME = "faces.h5.owner.json"


@pytest.fixture(params=["s3://photos/owned/faces.h5", "memory://owned/faces.h5", "file://{}/far/faces.h5"])
def place(request, tmp_path, monkeypatch):
    """A place in a store without anything in it; a page takes longer than all else here."""
    if request.param.startswith("s3"):
        request.getfixturevalue("flaky"), request.getfixturevalue("store")
    monkeypatch.setattr(owners, "SETTLE", 0.05)
    monkeypatch.setattr(owners, "WATCH", 0.5)
    monkeypatch.setattr(
        module, "_write_report", lambda config, rows, choice, *kept: config.output.with_name("none.html")
    )
    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    place = open_place(request.param.format(tmp_path))
    yield place
    if names(place):
        place.system.rm(place.folder, recursive=True)


@pytest.fixture
def config(place, made_photos, trouble, tmp_path):
    return BuildConfig(
        input=made_photos, output=Path(place.url), work=tmp_path / "work", resolution=16, restore="off", workers=0
    )


def names(place) -> set[str]:
    return set(place.listing())


def claim(place) -> Claim:
    return Claim(**json.loads(place.system.cat_file(place.of(NAME))))


def put(place, said: Claim) -> None:
    if not place.url.startswith("s3"):
        place.system.makedirs(place.folder, exist_ok=True)
    place.system.pipe_file(place.of(NAME), json.dumps(asdict(said)).encode())


def left(seconds: float, host: str = "elsewhere", work: str = "another") -> Claim:
    """What a run left that was killed so long ago."""
    then = owners._text(owners._now() - timedelta(seconds=seconds))
    return Claim(host, work, "t", then, then)


def test_second_run_ends_with_one_line_before_it_does_anything_and_works_once_the_first_has_ended(
    place, config, trouble, tmp_path
):
    with Owner(place, "first", tmp_path / "lock"):
        with pytest.raises(BuildError) as refused:
            build(config)
        held = claim(place)
        assert names(place) == {NAME} and not trouble["worked on"]
    line = str(refused.value)
    since = held.since[:19].replace("T", " ")
    assert line.startswith(
        f"--output: got {place.url}, which a build on {held.host} (work folder first) has held since"
    )
    assert since in line and f"remove {place.url_of(NAME)}" in line and "\n" not in line
    build(config)
    assert "faces.h5" in names(place) and NAME not in names(place)


def test_of_many_at_once_one_holds_it(place, tmp_path, monkeypatch):
    monkeypatch.setattr(owners, "SETTLE", 2.0)  # of a disk, as it is in earnest: six threads take turns
    together, outcomes = threading.Barrier(6), []

    def take(i):
        with ExitStack() as stack:
            together.wait()
            try:
                stack.enter_context(Owner(place, f"w{i}", tmp_path / f"lock{i}"))
                outcomes.append(i)
            except BuildError as error:
                outcomes.append(str(error))
            together.wait()

    threads = [threading.Thread(target=take, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(outcome) for outcome in outcomes].count(int) == 1 and len(outcomes) == 6, outcomes
    assert NAME not in names(place)


def test_killed_run_does_not_block_its_own_work_folder(place, config, monkeypatch):
    build(config)
    work = read_record(config.work / "faces.h5").work
    put(place, left(20, host=owners.socket.gethostname(), work=work))
    with monkeypatch.context() as patch:
        patch.setattr(Owner, "_watch", lambda owner, claim: pytest.fail("nobody is waited for"))
        build(replace(config, keep=3))
    assert NAME not in names(place)
    put(place, left(20, host="an earlier machine", work=work))  # the folder went along
    build(config)
    assert NAME not in names(place)


def test_killed_run_of_others_blocks_until_it_expires(place, config):
    put(place, left(owners.EXPIRES - 60))
    with pytest.raises(BuildError, match="if it is dead, run the same command after"):
        build(config)
    assert names(place) == {NAME}
    put(place, left(owners.EXPIRES + 60))
    build(config)
    assert "faces.h5" in names(place) and NAME not in names(place)


def test_run_whose_clock_is_late_is_not_taken_for_dead(place, config, monkeypatch, trouble):
    put(place, left(7200))
    watch = Owner._watch

    def see_a_sign(owner, claim):
        put(place, left(7100))
        watch(owner, claim)

    monkeypatch.setattr(Owner, "_watch", see_a_sign)
    with pytest.raises(BuildError, match="a build on elsewhere"):
        build(config)
    assert not trouble["worked on"]


def test_owner_gives_signs_of_life_and_notices_that_it_was_taken_over(place, tmp_path, monkeypatch):
    monkeypatch.setattr(owners, "REFRESH", 0.05)
    began, minutes = owners._now(), itertools.count()
    monkeypatch.setattr(owners, "_now", lambda: began + timedelta(minutes=next(minutes)))
    with Owner(place, "first", tmp_path / "lock") as owner:
        first, end = claim(place), time.monotonic() + 20
        while claim(place).seen == first.seen and time.monotonic() < end:
            time.sleep(0.05)
        now = claim(place)
        assert now.seen > first.seen and now == replace(first, seen=now.seen)
        owner.require()
        time.sleep(0.2)
        owner._over.set()  # asleep
        owner._thread.join()
        put(place, replace(first, host="elsewhere", token="t"))
        with pytest.raises(BuildError, match="a build on elsewhere"):
            owner.require()
    assert claim(place).host == "elsewhere"  # theirs stays


def test_nothing_is_sent_once_it_was_taken_over(place, config, monkeypatch, tmp_path):
    def write(config, rows, choice, *kept):
        put(place, left(0))
        return config.output.with_name("none.html")

    monkeypatch.setattr(module, "_write_report", write)
    with pytest.raises(BuildError, match="a build on elsewhere"):
        build(config)
    assert names(place) == {NAME} and (config.work / "faces.h5").exists()


def test_second_process_with_one_work_folder_ends_and_what_is_no_owner_is_not_overwritten(place, config, tmp_path):
    config.work.mkdir()
    with Owner(place, "first", config.work / "faces.h5.owner.lock"), pytest.raises(BuildError, match="--work: got"):
        build(config)
    place.system.pipe_file(place.of(NAME), b"[1]")
    with pytest.raises(BuildError, match=r"owner\.json: got something else, expected what a build writes there"):
        build(config)
    assert place.system.cat_file(place.of(NAME)) == b"[1]"


def test_reader_never_sees_a_part_of_what_the_owner_writes(place, tmp_path, monkeypatch):
    monkeypatch.setattr(owners, "REFRESH", 0.001)
    seen, end = set(), time.monotonic() + 1
    other = Owner(place, "other", tmp_path / "other")
    with Owner(place, "first", tmp_path / "lock"):
        while time.monotonic() < end:
            place.system.invalidate_cache()
            seen.add(claim(place).work)
    assert seen == {"first"} and other._read() is None and names(place) == set()


@pytest.mark.parametrize("place", ["memory://owned/faces.h5", "file://{}/far/faces.h5"], indirect=True)
def test_owner_that_is_just_written_is_waited_for(place, tmp_path, monkeypatch):
    monkeypatch.setattr(owners, "SETTLE", 20.0)
    place.system.makedirs(place.folder, exist_ok=True)
    place.system.pipe_file(place.of(NAME), b'{"ho')
    rest = threading.Timer(0.4, put, (place, left(0)))
    rest.start()
    with pytest.raises(BuildError, match="a build on elsewhere"), Owner(place, "second", tmp_path / "lock"):
        pass
    rest.join()
