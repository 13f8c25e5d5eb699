"""HDF5 files as nobody should make them: edits of every kind of structure, of object headers, and of bytes anywhere.

benchmarks/fuzz_hdf5.py sends thousands of them through every command, and a test some. Each is a function of its seed.
"""

import contextlib
import zlib
from pathlib import Path

import h5py
import numpy as np

SIGNED = (b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"FAHD",
          b"FADB", b"EAHD", b"SMTB", b"\x89HDF")  # fmt: skip
"""What libhdf5 begins its blocks with."""
TARGETS = ("data8x8", "data4x4", "data1x1", "labels", "faces/source", "faces/score", "faces/landmarks", "faces/extra")


def sound_file(path: Path, rng: np.random.Generator) -> None:
    """A small dataset with everything that a dataset may have, in one of the layouts that h5py writes."""
    channels, compression = int(rng.choice([1, 3])), rng.choice(np.array([None, "gzip", "lzf"], object))
    faces = rng.integers(0, 256, (4, channels, 8, 8), dtype=np.uint8)
    with h5py.File(path, "w", libver=str(rng.choice(["earliest", "latest"]))) as file:
        for r in (8, 4, 2, 1):
            level = np.rint(faces.reshape(4, channels, r, 8 // r, r, 8 // r).mean(axis=(3, 5))).astype(np.uint8)
            chunks = (int(rng.integers(1, 5)), channels, r, r) if compression or rng.random() < 0.7 else None
            file.create_dataset(f"data{r}x{r}", data=level, chunks=chunks, compression=compression)
        file["labels"] = rng.random((4, 3)).astype(np.float32)
        file["labels"].attrs["names"] = ["a", "b", "c"]
        file["faces/source"] = ["x/a.jpg", "x/b.jpg", "c", "d\u202e"]
        for name in ("source_sha256", "pixel_sha256"):
            file[f"faces/{name}"] = np.array([b"0" * 64] * 4)
        file["faces/score"] = np.linspace(1, 0, 4)
        file["faces/face_index"] = np.arange(4, dtype=np.int32)
        file["faces/landmarks"] = np.zeros((4, 5, 2), np.float32)
        file["faces/extra"] = np.arange(4)
        file.attrs.update({"config": '{"a": 1}', "format_version": 1, "builder_version": "1", "weights_sha256": ""})


def _replace(file, name, **options):
    file.pop(name, None)
    file.create_dataset(name, **options)


def _link(kind):
    def edit(file, name, rng):
        file.pop(name, None)
        file[name] = kind(rng)

    return edit


def _virtual(source):
    def edit(file, name, rng):
        layout = h5py.VirtualLayout((4, 3, 8, 8), np.uint8)
        layout[:] = h5py.VirtualSource(source, "data8x8", (4, 3, 8, 8))
        file.pop(name, None)
        file.create_virtual_dataset(name, layout)

    return edit


def _kind(dtype, shape=(4, 3, 8, 8)):
    return lambda file, name, rng: _replace(file, name, shape=shape, dtype=dtype)


def _external(file, name, rng):
    where = str(rng.choice(["/etc/passwd", "/dev/zero", "../x", "nowhere"]))
    _replace(file, name, shape=(4, 3, 8, 8), dtype=np.uint8, external=[(where, 0, 768)])


def _huge(file, name, rng):
    shape = tuple(int(2 ** rng.integers(0, 40)) for _ in range(int(rng.integers(1, 5))))
    chunks = tuple(min(side, 8) for side in shape) if rng.random() < 0.5 else None
    _replace(file, name, shape=shape, dtype=rng.choice(["u1", "f4", "S64"]), chunks=chunks)


def _filter(file, name, rng):
    """A filter that this library lacks, or one whose data are not what it makes."""
    file.pop(name, None)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 3, 8, 8))
    number = int(rng.choice([4, 32001, 32015, 307, 65000]))  # szip, blosc, zstd, bzip2, nobody's
    plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL if rng.random() < 0.5 else 0, (1, 2, 3))
    space = h5py.h5s.create_simple((4, 3, 8, 8))
    made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.STD_U8LE, space, plist)
    made.write_direct_chunk((0, 0, 0, 0), rng.bytes(int(rng.integers(1, 400))), int(rng.integers(4)))


def _damaged_chunk(file, name, rng):
    """Compressed data that are damaged, end early, or unfold to more than a chunk."""
    data = zlib.compress(bytes(int(10 ** rng.integers(2, 8))))
    kind = str(rng.choice(["gzip", "lzf"]))
    _replace(file, name, shape=(4, 3, 8, 8), dtype=np.uint8, chunks=(1, 3, 8, 8), compression=kind,
             shuffle=bool(rng.random() < 0.5), fletcher32=bool(rng.random() < 0.5))  # fmt: skip
    cut = data if rng.random() < 0.5 else data[: int(rng.integers(len(data)))]
    file[name].id.write_direct_chunk((int(rng.integers(4)), 0, 0, 0), cut)


def _scale_offset(file, name, rng):
    _replace(file, name, data=np.zeros((4, 3, 8, 8), "i4"), chunks=(1, 3, 8, 8), scaleoffset=int(rng.integers(1, 9)))


def _big_chunks(file, name, rng):
    side = int(2 ** rng.integers(4, 16))
    _replace(file, name, shape=(4, 3, 8, 8), maxshape=(None,) * 4, dtype=np.uint8, chunks=(side, 3, 16, 16))


def _long_text(file, name, rng):
    kind = h5py.string_dtype()
    _replace(file, name, data=np.array(["y" * int(10 ** rng.integers(2, 6))] * 4, object), dtype=kind)


def _deep_json(file, name, rng):
    file.attrs["config"] = "[" * int(rng.integers(10, 60000))


def _attribute(value):
    def edit(file, name, rng):
        item = file if rng.random() < 0.5 or not isinstance(file.get(name), h5py.Dataset) else file[name]
        item.attrs["config" if rng.random() < 0.5 else f"x{rng.integers(9)}\x1b[31m"] = value

    return edit


def _cycle(file, name, rng):
    file["faces/again"] = file["/"] if rng.random() < 0.5 else file["faces"]


def _soft_cycle(file, name, rng):
    for here, there in ((name, "/z1"), ("z1", "/z2"), ("z2", "/z1")):
        file.pop(here, None)
        file[here] = h5py.SoftLink(there)


def _deep_groups(file, name, rng):
    group = file
    for i in range(int(rng.integers(10, 300))):
        group = group.create_group(f"g{i}")


def _bytes_of_names(file, name, rng):
    name = b"caf\xe9\xff\n\x1b[2J"
    h5py.h5g.create(file.id, name if rng.random() < 0.5 else b"faces/" + name)
    h5py.h5a.create(file.id, name, h5py.h5t.STD_I32LE, h5py.h5s.create(h5py.h5s.SCALAR)).write(np.array(1, np.int32))
    h5py.h5d.create(file.id, b"data\xe9", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((4,)))


def _not_finite(file, name, rng):
    if isinstance(item := file.get(name), h5py.Dataset) and item.dtype.kind == "f" and item.shape:
        item[...] = rng.choice([np.nan, np.inf, -np.inf])


EDITS = [
    _external,
    _huge,
    _huge,
    _filter,
    _damaged_chunk,
    _scale_offset,
    _big_chunks,
    _long_text,
    _deep_json,
    _cycle,
    _soft_cycle,
    _deep_groups,
    _bytes_of_names,
    _not_finite,
    _link(lambda rng: h5py.SoftLink("/nowhere")),
    _link(lambda rng: h5py.SoftLink("/data4x4")),
    _link(lambda rng: h5py.ExternalLink("/etc/passwd", "/a\x1b[2J")),
    _link(lambda rng: h5py.ExternalLink("other.h5", "/data8x8")),
    _virtual("/etc/passwd"),
    _virtual("."),
    _virtual("other.h5"),
    _virtual("%b.h5"),
    _virtual("sound-00000-of-00001.h5"),
    _virtual("../weird-00000-of-00001.h5"),
    _virtual("weird-00000-of-00001.h5"),
    _virtual("%b-00000-of-00001.h5"),
    *map(_kind, ("f4", "i1", "S4", "c8", "?", h5py.string_dtype(), h5py.ref_dtype, h5py.vlen_dtype("f4"))),
    _kind(np.dtype([("a", "f4"), ("b", h5py.string_dtype())])),
    _kind(h5py.enum_dtype({"A": 1}, basetype="u1")),
    _kind("u1", ()),
    _kind("u1", (0,)),
    _kind("u1", (4,)),
    _kind("u1", (3, 3, 8, 8)),
    _kind("u1", (4, 0, 8, 8)),
    lambda file, name, rng: _replace(file, name, dtype="f4", data=h5py.Empty("f4")),
    lambda file, name, rng: (file.pop(name, None), file.create_group(name)),
    lambda file, name, rng: file.pop(name, None),
    lambda file, name, rng: (file.pop("faces", None), file.__setitem__("faces", 3)),
    lambda file, name, rng: (file.pop(name, None), file.__setitem__(name, np.dtype("f8"))),
    lambda file, name, rng: file.create_dataset(f"data{'9' * int(rng.integers(1, 5000))}x9", data=0),
    lambda file, name, rng: file.create_dataset("data16x16", shape=(4, 3, 16, 16), dtype="u1", chunks=(1, 3, 16, 16)),
    *map(_attribute, ("\x1b]0;x\x07\u202e", b"\xff\xfe", np.zeros(2000), ["a", "b"], h5py.Empty("f4"), np.nan, 2**63)),
    _attribute("[1e999, NaN]"),
    _attribute('{"a": {"b\\u001b[2J": [1, 2]}}'),
]


def weird_file(path: Path, seed: int) -> str:
    """Write the file of this seed and return its kind: structure, header or bytes, by turns.

    structure: up to three edits. header: a field of an object's header, or of a block that libhdf5 signs. bytes: up to
    16 anywhere. The last two also on top of an edit, in half of the files.
    """
    rng = np.random.default_rng(seed)
    kind = ("structure", "header", "structure", "bytes")[seed % 4]
    sound_file(path, rng)
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.integers(1, 4)) if kind == "structure" else int(rng.integers(0, 2))):
            # an edit before it may have left no room for this one
            with contextlib.suppress(ValueError, OSError, KeyError, TypeError, RuntimeError):
                EDITS[int(rng.integers(len(EDITS)))](file, str(rng.choice(TARGETS)), rng)
        headers = _headers(file) if kind == "header" else []
    if kind != "structure":
        data = path.read_bytes()
        path.write_bytes(_changed(data, rng) if kind == "bytes" else _changed_header(data, headers, rng))
    return kind


def _headers(file: h5py.File) -> list[int]:
    """Where the headers of objects lie in the file."""
    found = [h5py.h5o.get_info(file.id).addr]

    def see(name: bytes) -> None:
        with contextlib.suppress(KeyError, RuntimeError, ValueError):
            found.append(h5py.h5o.get_info(file.id, name).addr)

    with contextlib.suppress(RuntimeError, ValueError):
        h5py.h5o.visit(file.id, see)
    return found


def _changed_header(data: bytes, headers: list[int], rng: np.random.Generator) -> bytes:
    """Change whole fields where their places are known: sizes, types, dimensions, addresses, counts."""
    signed = [i for word in SIGNED for i in _found(data, word)]
    new = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        start = int(rng.choice(headers if rng.random() < 0.7 or not signed else signed)) % len(data)
        size = int(rng.choice([1, 2, 4, 8]))
        at = start + size * int(rng.integers(0, max(1, 256 // size)))
        old = int.from_bytes(new[at : at + size], "little")
        values = (0, 1, old + 1, old - 1, old * 2, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), len(data), start)
        value = values[int(rng.integers(len(values)))] % 2 ** (8 * size)
        new[at : at + size] = value.to_bytes(size, "little")
    return bytes(new[: len(data)])


def _found(data: bytes, word: bytes) -> list[int]:
    places, at = [], data.find(word)
    while at >= 0:
        places.append(at)
        at = data.find(word, at + 1)
    return places


def _changed(data: bytes, rng: np.random.Generator) -> bytes:
    new = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 4, 16]))):
        at, kind = int(rng.integers(len(new))), int(rng.integers(20))
        if kind < 6:
            new[at] ^= 1 << int(rng.integers(8))
        elif kind < 10:
            new[at] = (0, 1, 127, 128, 255)[int(rng.integers(5))]
        elif kind < 15:
            new[at : at + 8] = (0, 2**64 - 1, 2**63, 2**32 - 1, 1 << 20)[int(rng.integers(5))].to_bytes(8, "little")
        elif kind < 19:
            start, length = int(rng.integers(len(new))), int(rng.integers(1, 64))
            new[at : at + length] = new[start : start + length]
        else:
            del new[max(at, len(new) - 2000) :]
    return bytes(new)
