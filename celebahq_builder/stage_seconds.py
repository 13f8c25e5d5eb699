"""How long each stage of a photo takes: written down where the stages are called, taken with the result."""

import contextlib
import time
from collections.abc import Iterator


class StageSeconds:
    """Seconds of each stage by its name; a stage that comes twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def of(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
