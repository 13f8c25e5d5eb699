"""One thing that python -m zoo verify looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was found, and whether it is as it should be."""

    good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.good else 'WRONG'} {self.text}"
