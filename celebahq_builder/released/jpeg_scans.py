"""One scan of a JPEG: which blocks it visits, and what each of the five ways of coding them adds to a block."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from celebahq_builder.released.jpeg_huffman import (
    END_OF_BLOCK,
    BitReader,
    DamagedJPEGError,
    coefficient_table,
    symbol_table,
)


@dataclass(frozen=True)
class Scan:
    """Header of a scan: coefficients start..end; bits above `high` are known, those down to `low` follow."""

    progressive: bool
    start: int
    end: int
    high: int
    low: int
    restart: int
    huffman: dict[int, bytes]

    def table(self, name: int, ac: bool) -> bytes:
        spec = self.huffman.get((name & 15) | 0x10 if ac else name >> 4)
        if spec is None:
            raise DamagedJPEGError("a Huffman table is missing")
        return spec


class _State:
    """What is carried from block to block within a stretch: DC of the last block, blocks still to be left empty."""

    def __init__(self) -> None:
        self.last_dc: dict[int, int] = {}
        self.empty_blocks = 0


def decode_scan(scan: Scan, chosen: list[tuple[Any, int]], readers: list[BitReader], width: int, height: int) -> None:
    """Add a scan to the blocks of the components that it holds.

    Args:
        chosen: (component, byte of its Huffman tables); see jpeg_coefficients.
        readers: a stretch of data each, from restart to restart.
        width, height: of the image, pixels.

    Raises:
        DamagedJPEGError: codes that do not exist, or fewer data than blocks.
    """
    decode = [_block_decoder(scan, tables) for _, tables in chosen]
    units = _units(chosen)
    per_stretch = scan.restart or len(units)
    if len(readers) < -(-len(units) // per_stretch):
        raise DamagedJPEGError("the image's data end too early")
    for number, reader in enumerate(readers):
        state = _State()
        for unit in units[number * per_stretch : (number + 1) * per_stretch]:
            for which, offset in unit:
                decode[which](reader, state, which, chosen[which][0].blocks, offset)
        reader.check()


def _units(chosen: list[tuple[Any, int]]) -> list[list[tuple[int, int]]]:
    """(component, offset of its block), unit by unit: one block, or h x v blocks of each of several components."""
    if len(chosen) == 1:
        c = chosen[0][0]
        return [[(0, 64 * (y * c.across + x))] for y in range(c.height) for x in range(c.width)]
    first = chosen[0][0]
    return [
        list(_interleaved(chosen, x, y)) for y in range(first.down // first.v) for x in range(first.across // first.h)
    ]


def _interleaved(chosen: list[tuple[Any, int]], x: int, y: int) -> Iterator[tuple[int, int]]:
    for which, (c, _) in enumerate(chosen):
        for v in range(c.v):
            for h in range(c.h):
                yield which, 64 * ((y * c.v + v) * c.across + x * c.h + h)


_Decoder = Callable[[BitReader, _State, int, array, int], None]


def _block_decoder(scan: Scan, tables: int) -> _Decoder:
    if not scan.progressive:
        return _sequential(scan, tables)
    if scan.start == 0:
        return _dc_refinement(scan) if scan.high else _dc_first(scan, tables)
    return _ac_refinement(scan, tables) if scan.high else _ac_first(scan, tables)


def _sequential(scan: Scan, tables: int) -> _Decoder:
    dc = symbol_table(scan.table(tables, ac=False))
    spec = scan.table(tables, ac=True)
    fast, slow = coefficient_table(spec), symbol_table(spec)

    def decode(reader: BitReader, state: _State, which: int, blocks: array, offset: int) -> None:
        value = state.last_dc.get(which, 0) + reader.number(reader.symbol(dc))
        state.last_dc[which] = blocks[offset] = value
        window, count, k = reader.window, reader.count, 1
        while k < 64:
            if count < 16:
                window, count = reader.refill(window, count)
            entry = fast[window >> count - 16 & 0xFFFF]
            if entry:
                count -= entry & 255
                k += entry >> 8 & 255
                if k >= END_OF_BLOCK:
                    break
                blocks[offset + k - 1] = entry >> 16
            else:
                reader.window, reader.count = window, count
                symbol = reader.symbol(slow)
                k += (symbol >> 4) + 1
                blocks[offset + k - 1] = reader.number(symbol & 15)
                window, count = reader.window, reader.count
        if 64 < k < END_OF_BLOCK:
            raise DamagedJPEGError("a block of more than 64 coefficients")
        reader.window, reader.count = window, count

    return decode


def _dc_first(scan: Scan, tables: int) -> _Decoder:
    dc = symbol_table(scan.table(tables, ac=False))

    def decode(reader: BitReader, state: _State, which: int, blocks: array, offset: int) -> None:
        value = state.last_dc.get(which, 0) + reader.number(reader.symbol(dc))
        state.last_dc[which] = value
        blocks[offset] = value << scan.low

    return decode


def _dc_refinement(scan: Scan) -> _Decoder:
    def decode(reader: BitReader, state: _State, which: int, blocks: array, offset: int) -> None:
        if reader.bits(1):
            blocks[offset] |= 1 << scan.low

    return decode


def _ac_first(scan: Scan, tables: int) -> _Decoder:
    ac = symbol_table(scan.table(tables, ac=True))

    def decode(reader: BitReader, state: _State, which: int, blocks: array, offset: int) -> None:
        if state.empty_blocks:
            state.empty_blocks -= 1
            return
        k = scan.start
        while k <= scan.end:
            run, size = divmod(reader.symbol(ac), 16)
            if size:
                k += run
                _refuse_beyond(k, scan)
                blocks[offset + k] = reader.number(size) << scan.low
            elif run < 15:
                state.empty_blocks = (1 << run) - 1 + reader.bits(run)
                return
            else:
                k += 15
            k += 1

    return decode


def _ac_refinement(scan: Scan, tables: int) -> _Decoder:
    ac, one = symbol_table(scan.table(tables, ac=True)), 1 << scan.low

    def refine(reader: BitReader, blocks: array, at: int) -> None:
        """One more bit of a coefficient that is known not to be zero."""
        value = blocks[at]
        if reader.bits(1) and not abs(value) & one:
            blocks[at] = value + one if value > 0 else value - one

    def decode(reader: BitReader, state: _State, which: int, blocks: array, offset: int) -> None:
        k = scan.start
        while k <= scan.end and not state.empty_blocks:
            run, size = divmod(reader.symbol(ac), 16)
            if size == 0 and run < 15:
                state.empty_blocks = (1 << run) + reader.bits(run)
                break
            new = (one if reader.bits(1) else -one) if size else 0
            while k <= scan.end:  # over the zeros of the run, and whatever lies between them
                if blocks[offset + k]:
                    refine(reader, blocks, offset + k)
                elif run:
                    run -= 1
                else:
                    break
                k += 1
            if new:
                _refuse_beyond(k, scan)
                blocks[offset + k] = new
            k += 1
        if state.empty_blocks:
            for at in range(offset + k, offset + scan.end + 1):
                if blocks[at]:
                    refine(reader, blocks, at)
            state.empty_blocks -= 1

    return decode


def _refuse_beyond(k: int, scan: Scan) -> None:
    if k > scan.end:
        raise DamagedJPEGError("a block of more coefficients than its scan has")
