"""The whole line in one script: photographs -> faces -> a generator -> ONNX -> a grid of images, in half a minute.

python examples/quickstart.py [FOLDER]     # everything it makes goes there; "quickstart" by default
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from celebahq import BuildConfig, TrainConfig, build, export_onnx, load_onnx, open_dataset, train


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    photos = Path(__file__).parent / "in-the-wild"
    built = build(BuildConfig(input=photos, output=folder / "faces.h5", resolution=32, restore="off", workers=0))
    print(built)

    with open_dataset(folder / "faces.h5") as faces:
        image, _ = faces[0]  # (3, 32, 32) uint8, the best face
        print(f"{len(faces)} faces, the best of {image.shape}")

    run = TrainConfig(
        dataset=folder / "faces.h5", outdir=folder, name="run", resolution=8, total_kimg=0.2, stable_kimg=0.1,
        fade_kimg=0.05, minibatch=16, latent_size=32, fmap_max=32, device="cpu",
    )  # fmt: skip
    trained = train(run)
    print(trained)

    print(export_onnx(trained.model, folder / "faces.onnx", overwrite=True))
    generator = load_onnx(folder / "faces.onnx")
    z = np.random.default_rng(0).standard_normal((16, 32)).astype(np.float32)
    images = generator.uint8_images(z)  # (16, 8, 8, 3) uint8: colors so far, after 200 images
    grid = images.reshape(4, 4, 8, 8, 3).swapaxes(1, 2).reshape(32, 32, 3)
    Image.fromarray(grid).resize((256, 256), Image.Resampling.NEAREST).save(folder / "grid.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "quickstart"))
