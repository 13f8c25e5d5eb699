"""The pages of a TIFF and what their tags say, read without a decoder: sizes, kinds and where each page begins."""

import struct
from dataclasses import dataclass, field

# Types of values that a tag can hold, as struct letters; the others are not needed.
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WANTED = {254, 256, 257, 258, 259, 262, 274, 277, 278, 284, 322, 323, 338, 339, 50706}
_MAX_PAGES, _MAX_TAGS, _MAX_VALUES = 1000, 4096, 64


@dataclass
class TiffPage:
    """One page. Tags that are missing have the standard's default."""

    offset: int
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def get(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag."""
        return (self.tags.get(tag) or (default,))[0]

    @property
    def width(self) -> int:
        return self.get(256)

    @property
    def height(self) -> int:
        return self.get(257)

    @property
    def bits(self) -> int:
        return max(self.tags.get(258) or (1,))

    @property
    def samples(self) -> int:
        return self.get(277, 1)

    @property
    def chunk_bytes(self) -> int:
        """Of one strip or tile once it is unpacked, which a decoder holds at once."""
        samples = 1 if self.get(284, 1) == 2 else self.samples
        if 322 in self.tags:
            return self.get(322) * self.get(323) * samples * self.bits // 8
        return self.width * min(self.get(278, self.height), self.height) * samples * self.bits // 8


def tiff_pages(data: bytes) -> list[TiffPage]:
    """Return the pages in their order, each once, up to the first that does not lie in the file."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    word, count_size, entry = ("Q", 8, 20) if big else ("I", 2, 12)
    pages: dict[int, TiffPage] = {}
    try:
        (offset,) = struct.unpack_from(order + word, data, 8 if big else 4)
        while offset and offset not in pages and len(pages) < _MAX_PAGES:
            (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, offset)
            if count > _MAX_TAGS:
                break
            page = TiffPage(offset)
            for i in range(count):
                _read_tag(page, data, offset + count_size + i * entry, order, big)
            pages[offset] = page
            (offset,) = struct.unpack_from(order + word, data, offset + count_size + count * entry)
    except struct.error:
        pass
    return list(pages.values())


def _read_tag(page: TiffPage, data: bytes, at: int, order: str, big: bool) -> None:
    tag, kind = struct.unpack_from(order + "HH", data, at)
    (count,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + 4)
    letter = _TYPES.get(kind)
    if tag not in _WANTED or letter is None:
        return
    count = min(count, _MAX_VALUES)
    where, room = at + (12 if big else 8), 8 if big else 4
    if count * struct.calcsize(letter) > room:
        (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, where)
    try:
        page.tags[tag] = struct.unpack_from(f"{order}{count}{letter}", data, where)
    except struct.error:
        return  # its values lie outside the file


def only_page(data: bytes, page: TiffPage) -> bytes:
    """Return the file with a page as its first, so that a decoder finds it without walking past the others."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return data[:8] + struct.pack(order + "Q", page.offset) + data[16:]
    return data[:4] + struct.pack(order + "I", page.offset) + data[8:]
