"""celebahq-build with the stages of a photo replaced by ones that need no face, whose mishaps its name decides.

Names: "kill..." kills its own process, "orphan..." the process that watches it, "hang..." never ends, "fail..." raises.
"""

import hashlib
import os
import signal
import sys
import time

import numpy as np

from celebahq_builder import process_photos
from celebahq_builder.process_photo import Result
from celebahq_builder.sources.input_photos import file_stamp
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.waiting_faces import encode_face


def process_task(task):
    """A face of noise, from the bytes of the photo."""
    began = time.monotonic()
    stamp, data = file_stamp(task.config.input, task.name), (task.config.input / task.name).read_bytes()
    time.sleep(float(os.environ.get("FAULT_SECONDS", "0")))
    if task.name.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name.startswith("orphan"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if task.name.startswith("hang"):
        time.sleep(600)
    if task.name.startswith("fail"):
        raise ValueError("a fault")
    rng, side = np.random.default_rng(list(data)), task.config.resolution
    face = encode_face(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), task.packed)
    row = Row(
        source=task.name,
        source_bytes=stamp.num_bytes,
        source_mtime_ns=stamp.mtime_ns,
        status="aligned",
        source_sha256=hashlib.sha256(data).hexdigest(),
        pixel_sha256=hashlib.sha256(data).hexdigest(),
        landmarks=((10, 10), (30, 10), (20, 20), (12, 30), (28, 30)),
        quad=((0, 0), (0, 40), (40, 40), (40, 0)),
        scale=0.5,
        score=float(rng.random()),
        breadth=0.5,
        isotropy=0.5,
        face_sha256=hashlib.sha256(face).hexdigest(),
    )
    return Result([row], {0: face}, {"find": time.monotonic() - began})


if __name__ == "__main__":
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent))  # where the workers import it from
    import faulty_build

    process_photos.process_task = faulty_build.process_task
    from celebahq_builder.__main__ import main

    main()
