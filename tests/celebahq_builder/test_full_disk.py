"""Builds on disks of all sizes, which claim more room than they have: one line each, and with room the same file."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import hashlib, json, os, shutil, subprocess, sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

photos, right, disk, stages = map(Path, sys.argv[1:5])
sys.path.insert(0, str(stages))
import faulty_build

from celebahq_builder import process_photos
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.process_photo import Result
from celebahq_builder.state.waiting_faces import encode_face

worked = []


def smooth(task):
    worked.append(task.name)
    (row,), side = faulty_build.process_task(task).rows, task.config.resolution
    face = encode_face(np.full((side, side, 3), sum(task.name.encode()) % 256, np.uint8), task.packed)
    return Result([replace(row, face_sha256=hashlib.sha256(face).hexdigest())], {0: face})


def contents(path):
    with h5py.File(path) as file:
        levels = {name: file[name][()].tobytes() for name in file if name.startswith("data")}
        return levels | {"names": file["rows/source"][:].tolist()}


def mount(kib, *more):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([*more, f"size={kib}k"]), "tmpfs", disk], check=True)


process_photos.process_task = smooth
options = {"input": photos, "resolution": 64, "restore": "off", "workers": 0}
build(BuildConfig(output=right, **options))
shutil.disk_usage = lambda folder: shutil._ntuple_diskusage(1 << 50, 0, 1 << 50)
for kib in map(int, sys.argv[5:]):
    mount(kib)
    del worked[:]
    try:
        build(BuildConfig(output=disk / "f.h5", **options))
        said = ""
    except BuildError as error:
        said = str(error)
    done, left = list(worked), sorted(path.suffix for path in (disk / "f.h5.build" / "faces").glob("*"))
    mount(20_000, "remount")
    del worked[:]
    build(BuildConfig(output=disk / "f.h5", **options))
    same, files = contents(disk / "f.h5") == contents(right), sorted(path.name for path in disk.iterdir())
    print(json.dumps([kib, said, same, files, len(done), len(set(done) & set(worked)), left]), flush=True)
    subprocess.run(["umount", disk], check=True)
"""
PARQUET = ["f.h5.rows.parquet"] if importlib.util.find_spec("pyarrow") else []
SIZES = (8, 40, 88, 160, 300, 340, 380, 420, 460, 560)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is made by Linux's tmpfs")
def test_full_disk_is_one_line_and_the_same_command_makes_the_same_file(tmp_path):
    photos, disk = tmp_path / "photos", tmp_path / "disk"
    photos.mkdir()
    disk.mkdir()
    for i in range(13):
        (photos / f"{i}.jpg").write_text(f"photo {i}")
    namespace = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no mount namespace here: no small disk can be made")
    command = [sys.executable, "-X", "faulthandler", "-c", SCRIPT, photos, tmp_path / "right.h5", disk]
    command.append(Path(__file__).with_name("cluster"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [*namespace, *map(str, command), *map(str, SIZES)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [kib for kib, *_ in found] == list(SIZES), (done.returncode, done.stderr[-3000:])
    for kib, said, same, files, _, twice, left in found:
        assert same and files == ["f.h5", "f.h5.rows.csv", *PARQUET, "report.html"], kib
        if said:
            assert said.startswith(str(disk)) and "No space left on device; " in said and "\n" not in said
            freed = (
                f"{disk}/f.h5 is complete, run the same command again: it first removes the faces that waited for it"
            )
            assert said.endswith(("free some space and run the same command again to continue", freed))
        assert twice <= 1, "a photo whose row was there was looked at again"
        assert said or not left, kib
    # 13 faces are 208 KiB as they are and 52 packed: unpacked, 460 KiB would be 150 too few.
    assert [bool(said) for _, said, *_ in found[-2:]] == [False, False]
    assert found[0][1] and found[3][4] == 13
