"""MetricError: what python -m train.metrics cannot measure, and why."""

from celebahq.errors import CelebAHQError


class MetricError(CelebAHQError):
    """A model, file or option that cannot be measured; the message is one line that names it and what is expected."""
