"""The page of a run is the subject here: its diagrams are drawn."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def undrawn_curves() -> None:
    """In the place of the one that leaves diagrams empty where a page is a by-product."""
