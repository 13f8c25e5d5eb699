"""The small images of report.html: faces, photos and the stages between them, each as a data: address."""

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

from celebahq_builder.config import BuildConfig
from celebahq_builder.process_photo import prepare
from celebahq_builder.state.manifest import Row

_QUAD_COLOR = (255, 200, 40)
_POINT_COLOR = (90, 220, 255)
_FINER = 2  # lines are drawn this much larger and shrunk, which smooths them


def face_image(face: np.ndarray, side: int = 200) -> str:
    """Return a face (R, R, 3) uint8 as a small image."""
    return data_address(_fit(Image.fromarray(face), side, side))


def photo_image(photo: np.ndarray, height: int = 150) -> str:
    """Return a photo (H, W, 3) uint8 as an image of a given height, of at most three times the width."""
    return data_address(_fit(Image.fromarray(photo), 3 * height, height))


def stage_images(photo: np.ndarray, row: Row, config: BuildConfig, face: np.ndarray) -> list[tuple[str, str]]:
    """Return what the paper's Fig. 8 shows, each as (name, image).

    The photo with its box; the part around the eyes after each stage that changed pixels, as process_photo.prepare
    names them; the extended photo with its box; the face.
    """
    from celebahq_builder.align import extend_as_planned, plan_face

    landmarks = np.array(row.landmarks)
    crop = plan_face(photo.shape[1::-1], landmarks, config.resolution, config.geometry)
    images = [("photo", data_address(_with_box(photo, np.array(row.quad), landmarks)))]
    prepared = prepare(photo, crop, config, for_showing=True)
    images += [(name, _eyes(pixels, points)) for name, pixels, points in prepared.shown]
    photo, crop = prepared.photo, prepared.crop
    extended, quad_in_extended = extend_as_planned(photo, crop.plan, crop.geometry)
    leaves = (crop.quad < 0).any() or (crop.quad > photo.shape[1::-1]).any()
    name = "extended by its mirror image" if leaves else "around the box"
    boxed = _with_box(extended, np.asarray(quad_in_extended, float), np.empty((0, 2)))
    return [*images, (name, data_address(boxed)), ("face", face_image(face, 300))]


def _eyes(photo: np.ndarray, landmarks: np.ndarray, side: int = 300) -> str:
    """The square around eyes and nose, enlarged pixel by pixel so that it shows what is there."""
    center, half = landmarks[:3].mean(axis=0) + 0.5, np.hypot(*(landmarks[1] - landmarks[0])) * 0.8
    box = tuple(np.rint([*(center - half), *(center + half)]).astype(int).tolist())
    return data_address(Image.fromarray(photo).crop(box).resize((side, side), Image.Resampling.NEAREST))


def data_address(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _with_box(photo: np.ndarray, quad: np.ndarray, points: np.ndarray, height: int = 300) -> Image.Image:
    """Draw the box and the landmarks. The canvas grows where the box leaves the photo, by a quarter at most."""
    h, w = photo.shape[:2]
    left, top = np.minimum(np.maximum(-quad.min(0), 0), (w / 4, h / 4)).round().astype(int)
    right, bottom = np.minimum(np.maximum(quad.max(0) - (w, h), 0), (w / 4, h / 4)).round().astype(int)
    full = (w + left + right, h + top + bottom)
    scale = min(height / full[1], 2.0 * height / full[0]) * _FINER
    canvas = Image.new("RGB", (max(1, round(full[0] * scale)), max(1, round(full[1] * scale))), (128, 128, 128))
    small = Image.fromarray(photo).resize((max(1, round(w * scale)), max(1, round(h * scale))), Image.Resampling.BOX)
    canvas.paste(small, (round(left * scale), round(top * scale)))

    draw, shift = ImageDraw.Draw(canvas), np.array([left, top])
    corners = [tuple(point) for point in (quad + shift) * scale]
    # The thick side is the top of the face, so that a wrong turn shows.
    draw.line([corners[0], corners[1], corners[2], corners[3]], fill=_QUAD_COLOR, width=2 * _FINER, joint="curve")
    draw.line([corners[3], corners[0]], fill=_QUAD_COLOR, width=5 * _FINER)
    for x, y in (points + shift) * scale:
        r = 2.5 * _FINER
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_POINT_COLOR)
    return canvas.resize((max(1, canvas.width // _FINER), max(1, canvas.height // _FINER)), Image.Resampling.BOX)


def _fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Shrink into width x height, never enlarging."""
    scale = min(width / image.width, height / image.height, 1.0)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
