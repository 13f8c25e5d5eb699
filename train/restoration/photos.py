"""Read a folder, or a zip, of photographs once; keep the pixels in one flat file that many processes can map."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from celebahq.files import write_atomic
from train.restoration.errors import NoPhotosError, RestorationError
from train.restoration.faces import Box, around_face

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp")


def _files(source: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    if source.is_file():
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if name.startswith(prefix) and name.lower().endswith(SUFFIXES):
                    yield name, archive.read(name)
        return
    if not source.is_dir():
        raise NoPhotosError(f"{source}: not there, expected a folder or a zip of photographs")
    root = source / prefix if prefix and (source / prefix).is_dir() else source
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            yield path.relative_to(source).as_posix(), path.read_bytes()


def read_photos(source: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Decode every photo of a folder or zip, sorted by name. Values: (H, W, 3) uint8 sRGB.

    Raises:
        FileNotFoundError: there is no such folder or zip, or no photo in it.
    """
    from PIL import Image

    def decode(item: tuple[str, bytes]) -> tuple[str, np.ndarray]:
        try:
            return item[0], np.asarray(Image.open(io.BytesIO(item[1])).convert("RGB"))
        except Exception as error:  # whatever a decoder raises
            raise RestorationError(
                f"{source}: got {item[0]}, which cannot be decoded ({str(error)[:80]}); remove it"
            ) from None

    try:
        with ThreadPoolExecutor() as threads:
            photos = dict(threads.map(decode, _files(source, prefix)))
    except zipfile.BadZipFile as error:
        raise RestorationError(f"{source}: got no zip ({error}), expected a folder or a zip of photographs") from None
    if not photos:
        raise NoPhotosError(f"{source}: got no photo in {prefix or 'it'}, expected files {' '.join(SUFFIXES)}")
    return photos


def read_testset(source: Path, name: str) -> dict[str, np.ndarray]:
    """The images of one test set (Classic5, Set5, Set14) of a folder, or of `testsets/` in a zip."""
    return read_photos(source, f"testsets/{name}/" if source.is_file() else f"{name}/")


def held_out_names(path: Path | None, names: list[str]) -> list[str]:
    """The names of the photos to validate on: those that a list names, a line each, or every 25th.

    Args:
        path: the list; `photos/` before a name in a zip is left out in it.
        names: of all photos.

    Raises:
        ValueError: the list is empty, or names a photo that is not there.
    """
    if path is None:
        return names[::25]
    by_listed_name = {name.removeprefix("photos/"): name for name in names}
    listed = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    missing = [name for name in listed if name not in by_listed_name]
    if missing or not listed:
        found = f"{missing[0]!r}" if listed else "an empty list"
        raise RestorationError(f"--held-out: got {found} in {path}, expected photos of --photos, such as {names[0]!r}")
    return [by_listed_name[name] for name in listed]


def middle(photo: np.ndarray, side: int) -> np.ndarray:
    """The middle of a photo, at most side pixels each way. photo: (H, W, 3) uint8. Returns (h, w, 3) uint8."""
    y, x = (max(0, (n - side) // 2) for n in photo.shape[:2])
    return np.ascontiguousarray(photo[y : y + side, x : x + side])


class PhotoStore:
    """Photos side by side in one memory-mapped file: opened by many processes, held in memory once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = json.loads((folder / "photos.json").read_text())
        self._pixels = np.load(folder / "photos.npy", mmap_mode="r")
        faces = folder / "faces.json"
        self._faces_share, self._faces = json.loads(faces.read_text()) if faces.exists() else (0.0, [])
        areas = np.array([height * width for _, height, width in self._index], dtype=float)
        self._cumulative = np.cumsum(areas / areas.sum())

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, i: int) -> np.ndarray:
        """Photo i: (H, W, 3) uint8 sRGB, read-only."""
        offset, height, width = self._index[i]
        return self._pixels[offset : offset + height * width * 3].reshape(height, width, 3)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A photo drawn in proportion to its area, so that every pixel is as likely as any other, or what lies around
        one of the faces, each as likely as any other. (H, W, 3) uint8 sRGB, read-only."""
        if self._faces and rng.random() < self._faces_share:
            i, *box = self._faces[rng.integers(len(self._faces))]
            photo = self[i]
            return photo[around_face(tuple(box), *photo.shape[:2])]
        i = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        return self[min(i, len(self) - 1)]

    @staticmethod
    def write(
        folder: Path, photos: list[np.ndarray], faces: Sequence[tuple[int, Box]] = (), faces_share: float = 0.0
    ) -> "PhotoStore":
        """Write photos, each (H, W, 3) uint8, to a folder and open it; a truncated store never opens.

        Args:
            faces: (index of the photo, box) of every face.
            faces_share: the share of draws that are made around one of them.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "photos.json").unlink(missing_ok=True)  # written last: where it is, the store is complete
        offsets = np.cumsum([0] + [photo.size for photo in photos])
        index = [[int(o), *photo.shape[:2]] for o, photo in zip(offsets, photos, strict=False)]
        with write_atomic(folder / "photos.npy") as file:
            np.save(file, np.concatenate([photo.reshape(-1) for photo in photos]))
        (folder / "faces.json").write_text(json.dumps([faces_share, [[i, *box] for i, box in faces]]))
        (folder / "photos.json").write_text(json.dumps(index))
        return PhotoStore(folder)
