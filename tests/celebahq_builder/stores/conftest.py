"""What tests of stores share: nobody else writes to them, so nobody is waited for."""

import pytest

from celebahq_builder.stores import owner


@pytest.fixture(autouse=True)
def soon_settled(monkeypatch):
    """Two seconds a run, where a store creates no object only where there is none, are for writers far away."""
    monkeypatch.setattr(owner, "SETTLE", 0.05)
