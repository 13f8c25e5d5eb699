"""How far a measurement is: images counted as they pass."""

from collections.abc import Iterable, Iterator

import numpy as np

from celebahq.progress import progress


def counted(batches: Iterable[np.ndarray], total: int, what: str) -> Iterator[np.ndarray]:
    """Yield batches (n, ...) as they come, and show how many of `total` have passed; `what` in two or three words."""
    with progress(what, total, "images") as bar:
        for batch in batches:
            yield batch
            bar.advance(len(batch))
