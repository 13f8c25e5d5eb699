"""The bits of one JPEG scan: Huffman codes and the numbers behind them, in plain Python."""

from functools import lru_cache

import numpy as np

from celebahq.errors import CelebAHQError

END_OF_BLOCK = 128
"""What an entry's step holds where the rest of the block is zero: more than any block has."""

_REFILL = 6  # bytes at a time


class DamagedJPEGError(CelebAHQError, ValueError):
    """The entropy-coded data are not what their header promises, or end too early."""


@lru_cache(maxsize=64)
def symbol_table(spec: bytes) -> list[int]:
    """For each of the 65,536 next 16 bits: symbol << 8 | bits of its code, or 0 for a code that does not exist.

    Args:
        spec: a DHT segment's 16 counts and its symbols.
    """
    table = np.zeros(1 << 16, np.int64)
    at, symbol = 0, 16
    for bits in range(1, 17):
        for _ in range(spec[bits - 1]):
            span = 1 << (16 - bits)
            if symbol >= len(spec) or at + span > 1 << 16:
                raise DamagedJPEGError("a Huffman table that cannot be")
            table[at : at + span] = spec[symbol] << 8 | bits
            at, symbol = at + span, symbol + 1
    return table.tolist()


@lru_cache(maxsize=64)
def coefficient_table(spec: bytes) -> list[int]:
    """For each of the next 16 bits, a code and the number behind it at once: value << 16 | step << 8 | bits.

    step is how far the block has got after the number (END_OF_BLOCK: to its end). 0 where the 16 bits do not hold the
    whole number, or there is no such code: then `symbol_table` is asked.
    """
    symbols = np.array(symbol_table(spec))
    code_bits, run, size = symbols & 255, symbols >> 12, symbols >> 8 & 15
    bits = code_bits + size
    rest = np.arange(1 << 16) << code_bits & 0xFFFF
    value = rest >> (16 - size)
    value = np.where((size > 0) & (value < 1 << np.maximum(size - 1, 0)), value - (1 << size) + 1, value)
    step = np.where((size == 0) & (run < 15), END_OF_BLOCK, run + 1)
    return np.where((code_bits == 0) | (bits > 16), 0, (value << 16) + (step << 8) + bits).tolist()


class BitReader:
    """Reads one stretch of entropy-coded data, from a restart to the next.

    `window` holds the next `count` bits. Those who decode many numbers keep both in local names and give them back.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data.replace(b"\xff\x00", b"\xff") + b"\0" * 16
        self.size = 8 * (len(self.data) - 16)
        self.position = self.window = self.count = 0

    def refill(self, window: int, count: int) -> tuple[int, int]:
        """At least 48 bits more; zeros beyond the end, which `check` notices."""
        at = self.position
        self.position = at + _REFILL
        more = int.from_bytes(self.data[at : at + _REFILL].ljust(_REFILL, b"\0"), "big")
        return (window & (1 << count) - 1) << 8 * _REFILL | more, count + 8 * _REFILL

    def check(self) -> None:
        """DamagedJPEGError where more bits were taken than there are."""
        if 8 * self.position - self.count > self.size:
            raise DamagedJPEGError("the image's data end too early")

    def bits(self, n: int) -> int:
        """The next n bits as a number."""
        if self.count < n:
            self.window, self.count = self.refill(self.window, self.count)
        self.count -= n
        return self.window >> self.count & (1 << n) - 1

    def symbol(self, table: list[int]) -> int:
        """The next Huffman symbol."""
        if self.count < 16:
            self.window, self.count = self.refill(self.window, self.count)
        entry = table[self.window >> self.count - 16 & 0xFFFF]
        if not entry:
            raise DamagedJPEGError("a code that is in no table")
        self.count -= entry & 255
        return entry >> 8

    def number(self, size: int) -> int:
        """A signed number of `size` bits as JPEG writes it: the lower half of the range is negative."""
        if not size:
            return 0
        value = self.bits(size)
        return value if value >> size - 1 else value - (1 << size) + 1
