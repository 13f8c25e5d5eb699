"""A small CelebA with deltas in the published format, made here: the key, the cipher and the lists as the authors'."""

import base64
import bz2
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from PIL import Image


def md5(chw: np.ndarray) -> str:
    return hashlib.md5(np.ascontiguousarray(chw).tobytes()).hexdigest()


def encrypted(delta: np.ndarray, photo: bytes, name: str) -> bytes:
    """A delta as it was published, by the package's own key derivation."""
    kdf = PBKDF2HMAC(algorithm=SHA256(), length=32, salt=name.encode("ascii"), iterations=100_000)
    return Fernet(base64.urlsafe_b64encode(kdf.derive(photo))).encrypt(bz2.compress(delta.tobytes(), 1))


def photo_jpeg(seed: int, side: int = 96) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90)
    return data.getvalue()


def landmarks(seed: int) -> np.ndarray:
    return np.array([[36, 40], [58, 41], [47, 52], [38, 62], [56, 63]], np.float32) + seed % 3


class OfficialSet:
    """Photos 000001.jpg ..., image i of the set from photo count - i.

    Args:
        crop: (jpeg bytes, landmarks) -> (1024, 1024, 3) uint8, what proc_md5 is of.
    """

    def __init__(self, root: Path, crop, count: int = 3) -> None:
        self.celeba, self.deltas, self.finals = root / "celeba", root / "deltas", {}
        self.photos = self.celeba / "img_celeba"
        for folder in (self.photos, self.celeba / "Anno", self.deltas):
            folder.mkdir(parents=True)
        names = [f"{i + 1:06d}.jpg" for i in range(count)]
        rows = [[str(int(v)) for v in landmarks(i).ravel()] for i in range(count)]
        lines = [
            str(count),
            "lefteye_x lefteye_y ...",
            *(" ".join([n, *row]) for n, row in zip(names, rows, strict=True)),
        ]
        (self.celeba / "Anno" / "list_landmarks_celeba.txt").write_text("\n".join(lines) + "\n")
        listed = ["idx orig_idx orig_file proc_md5 final_md5"]
        with zipfile.ZipFile(self.deltas / "deltas00000.zip", "w") as archive:
            for idx in range(count):
                i = count - 1 - idx
                data = photo_jpeg(i)
                (self.photos / names[i]).write_bytes(data)
                chw = crop(data, landmarks(i)).transpose(2, 0, 1)
                delta = np.zeros_like(chw)
                delta[:, 100:200, :] = np.random.default_rng(idx).integers(0, 256, (3, 100, 1024))
                self.finals[idx] = chw + delta
                archive.writestr(f"delta{idx:05d}.dat", encrypted(delta, data, names[i]))
                listed.append(f"{idx} {i} {names[i]} {md5(chw)} {md5(self.finals[idx])}")
        self.list = self.deltas / "image_list.txt"
        self.list.write_text("\n".join(listed) + "\n")

    @property
    def archive(self) -> Path:
        return self.deltas / "deltas00000.zip"

    def unpack_deltas(self) -> None:
        zipfile.ZipFile(self.archive).extractall(self.deltas)
        self.archive.unlink()
