"""What a build on a cluster tells of itself, read from a registry that takes and refuses what Ray's does."""

from celebahq_builder.cluster.build_metrics import BuildMetrics
from celebahq_builder.process_photo import Task, process_task
from celebahq_builder.state.failure import WORKER_DIED
from celebahq_builder.state.manifest import Row


class Registry:
    """In the place of ray.util.metrics."""

    def __init__(self):
        self.values = {}

    def Counter(self, name, description, tag_keys=()):
        return Metric(self.values, name, tag_keys)

    Gauge = Counter


class Metric:
    def __init__(self, values, name, tag_keys):
        self.values, self.name, self.tag_keys = values, name, tag_keys

    def inc(self, value=1.0, tags=None):
        if value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        assert tuple(tags or ()) == self.tag_keys
        key = (self.name, *(tags or {}).values())
        self.values[key] = self.values.get(key, 0) + value

    def set(self, value):
        self.values[(self.name,)] = value


def row(status="aligned", reason="", **more):
    return Row(source="a.jpg", source_bytes=1, source_mtime_ns=1, status=status, reason=reason, **more)


def test_photos_faces_failures_and_seconds_of_stages_are_counted():
    registry = Registry()
    metrics = BuildMetrics(registry)
    assert metrics.slowest() == metrics.stages() == ""
    metrics.photo([row(), row(face_index=1)], {"find": 0.6, "decode": 0.1}, 2, 3)
    metrics.photo([row("refused", "no face found")], {"find": 0.2, "decode": 0.1, "read": 0.0}, 2, 2)
    metrics.photo([row("refused", WORKER_DIED)], {}, 1, 1)
    seconds = {key[1]: round(value, 6) for key, value in registry.values.items() if len(key) == 2}
    assert seconds == {"find": 0.8, "decode": 0.2}
    assert {key[0]: value for key, value in registry.values.items() if len(key) == 1} == {
        "celebahq_photos_done": 3,
        "celebahq_photos_failed": 1,
        "celebahq_faces_aligned": 2,
        "celebahq_refused": 2,
        "celebahq_faces_held": 1,
        "celebahq_photos_left": 1,
    }
    assert metrics.slowest() == "find 267 ms, decode 67 ms, read 0 ms"
    assert metrics.stages() == "find 80 %, decode 20 %, read 0 %"


def test_each_stage_of_a_photo_has_its_seconds(sequence):
    sequence.set(restore="fast", device="cpu", max_invented=1.0)
    results = [process_task(Task(name, sequence.config, None)) for name in sequence.names()[:2]]
    (result,) = [result for result in results if result.faces][:1]
    assert list(result.seconds) == ["read", "decode", "find", "restore", "align", "score", "compress"]
    assert all(seconds > 0 for seconds in result.seconds.values())
