"""Measures of a generator against its data, as published: python -m train.metrics."""
