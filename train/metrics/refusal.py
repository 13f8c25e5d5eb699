"""MetricError: what python -m train.metrics cannot measure, and why."""


class MetricError(Exception):
    """A model, file or option that cannot be measured; the message is one line that names it and what is wanted.

    (No ValueError: tyro would frame it.)
    """
