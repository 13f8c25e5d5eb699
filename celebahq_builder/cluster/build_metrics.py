"""What a build on a cluster tells of itself: per stage in the terminal, and as metrics that Ray's dashboard shows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from celebahq_builder.state.failure import is_failure
from celebahq_builder.state.manifest import Row

_SHOWN = 3  # stages in the terminal


class BuildMetrics:
    """Counts of one build.

    Args:
        metrics: ray.util.metrics once Ray was joined, or what has its Counter and Gauge.
    """

    def __init__(self, metrics: Any) -> None:
        self._photos = metrics.Counter("celebahq_photos_done", "Photographs that a build is done with.")
        self._failures = metrics.Counter("celebahq_photos_failed", "Photographs that the same command tries again.")
        self._aligned = metrics.Counter("celebahq_faces_aligned", "Faces that were aligned.")
        self._refused = metrics.Counter("celebahq_refused", "Photographs and faces that were refused.")
        self._seconds = metrics.Counter("celebahq_stage_seconds", "Seconds of all workers in a stage.", ("stage",))
        self._held = metrics.Gauge("celebahq_faces_held", "Faces that are among the best so far.")
        self._left = metrics.Gauge("celebahq_photos_left", "Photographs that are still to be done.")
        self.seconds: Counter[str] = Counter()
        self._num_photos = 0

    def photo(self, rows: Sequence[Row], seconds: Mapping[str, float], held: int, left: int) -> None:
        """Count one photo that is done.

        Args:
            rows: of it.
            seconds: of each stage.
            held: faces that are among the best now.
            left: photos that are still to be done.
        """
        self._num_photos += 1
        self._photos.inc()
        for metric, count in (
            (self._failures, any(is_failure(row.reason) for row in rows)),
            (self._aligned, sum(row.status == "aligned" for row in rows)),
            (self._refused, sum(row.status == "refused" for row in rows)),
        ):
            if count:  # Ray takes no zero
                metric.inc(int(count))
        for stage, its in seconds.items():
            if its > 0:
                self._seconds.inc(its, tags={"stage": stage})
        self.seconds.update(seconds)
        self._held.set(held)
        self._left.set(left)

    def slowest(self) -> str:
        """Return what a photo takes in the slowest stages, as "find 210 ms, decode 48 ms"; "" before the first."""
        shown = [(stage, its / self._num_photos) for stage, its in self.seconds.most_common(_SHOWN)]
        return ", ".join(f"{stage} {1000 * its:.0f} ms" for stage, its in shown)

    def stages(self) -> str:
        """Return how much of the work each stage was, as "find 61 %, decode 20 %"; "" before the first."""
        total = sum(self.seconds.values())
        return ", ".join(f"{stage} {its / total:.0%}".replace("%", " %") for stage, its in self.seconds.most_common())
