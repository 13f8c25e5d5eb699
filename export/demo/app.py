"""Faces from an ONNX generator, with Gradio: sample.py and model.onnx lie beside this file.

python app.py
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path

# Before gradio is imported: it would tell its makers of every start.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
import numpy as np
from sample import MAX_SEED, OnnxGenerator, UsageError, grid_picture, latents, load_onnx, parse_label, slerp

HERE = Path(__file__).resolve().parent
TITLE = "Painted faces"
BATCH = 4
UNTRUNCATED = 4
"""The slider's end: latents as they were drawn, the same faces as on every other machine."""

# Fonts of the visitor's device; Gradio's own come from Google.
FONT, FONT_MONO = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
LARGE = ".picture img {width: 100%; height: 100%; object-fit: contain}"  # a face of 64 pixels too


@functools.cache
def generator() -> OnnxGenerator:
    """Load the network once."""
    return load_onnx(HERE / "model.onnx")


def paint(z: np.ndarray, label: str | None) -> np.ndarray:
    """Paint latents (N, latent_size), a few at once. Returns (N, R, R, C) uint8; a Gradio error for no label."""
    pictures = []
    try:
        chosen = parse_label(str(label) if generator().label_size else None, generator().label_size, names())
    except UsageError as error:
        raise gr.Error(str(error)) from None
    for first in range(0, len(z), BATCH):
        batch = z[first : first + BATCH]
        pictures.append(generator().pictures(batch, None if chosen is None else chosen[None].repeat(len(batch), 0)))
    return np.concatenate(pictures)


def names() -> list[str]:
    """Return the names of the classes, their numbers where nobody named them, [] of an unconditional network."""
    return generator().label_names or [str(i) for i in range(generator().label_size)]


def latents_of(seeds: Sequence[float | None], truncation: float) -> np.ndarray:
    """Return the latents of seeds; a Gradio error, which the page shows, for what is no seed."""
    try:
        known = [int(seed) for seed in seeds if seed is not None and seed == int(seed) and 0 <= seed <= MAX_SEED]
        if len(known) < len(seeds):
            raise UsageError(f"A seed is an integer from 0 to {MAX_SEED}.")
        return latents(known, generator().latent_size, None if truncation >= UNTRUNCATED else truncation)
    except UsageError as error:
        raise gr.Error(str(error)) from None


def as_picture(picture: np.ndarray) -> np.ndarray:
    """Return what gr.Image takes: (H, W, 3), or (H, W) of a grey one."""
    return picture[:, :, 0] if picture.shape[2] == 1 else picture


def face(seed: float, truncation: float, label: str | None) -> np.ndarray:
    """Paint the face of one seed."""
    return as_picture(paint(latents_of([seed], truncation), label)[0])


def grid(first: float, columns: int, rows: int, truncation: float, label: str | None) -> np.ndarray:
    """Paint the faces of the seeds from first on, as one picture."""
    count = int(columns) * int(rows)
    seeds: list[float | None] = [first + i for i in range(count)] if first is not None else [None]
    return as_picture(grid_picture(paint(latents_of(seeds, truncation), label), int(columns)))


def way(start: float, end: float, steps: int, truncation: float, label: str | None) -> np.ndarray:
    """Paint the way from one face to another along the hypersphere, as one strip."""
    a, b = latents_of([start, end], truncation)[:, None]
    z = np.concatenate([slerp(a, b, i / (int(steps) - 1)) for i in range(int(steps))])
    return as_picture(grid_picture(paint(z, label), int(steps)))


def random_seed() -> int:
    """Return a seed that nobody has looked at yet, probably."""
    return int(np.random.default_rng().integers(1_000_000))


def build() -> gr.Blocks:
    """Return the application."""
    size, classes = generator().resolution, names()
    typed = f"A class, or {len(classes)} numbers with commas."
    note = (
        f"Largest magnitude of a component of the latent; {UNTRUNCATED} is none. ProGAN normalizes its latents, "
        "so this changes which face a seed gives more than how ordinary the faces are."
    )

    def picture(label: str) -> gr.Image:
        return gr.Image(
            label=label,
            format="png",
            interactive=False,
            height=480,
            buttons=["download", "fullscreen"],
            elem_classes="picture",
        )

    with gr.Blocks(title=TITLE, analytics_enabled=False) as app:
        gr.Markdown(f"# {TITLE}\n{size}×{size} pixels, painted by {generator().runs_on}. These people do not exist.")
        label: gr.Dropdown | gr.State = gr.State(None)
        if classes:
            label = gr.Dropdown(classes, value=classes[0], label="Label", info=typed, allow_custom_value=True)
        truncation = gr.Slider(
            0.2, UNTRUNCATED, value=UNTRUNCATED, step=0.1, label="Truncation", info=note, render=False
        )
        shared = [truncation, label]
        with gr.Tab("One face"):
            seed = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, label="Seed")
            with gr.Row():
                another = gr.Button("Another face", elem_id="another")
                one = gr.Button("Paint", variant="primary", elem_id="paint")
            shown = picture("Face")
            gr.on([one.click, seed.submit], face, [seed, *shared], shown, api_name="face")
            app.load(face, [seed, *shared], shown, api_visibility="private")
            another.click(random_seed, None, seed, api_visibility="private").then(
                face, [seed, *shared], shown, api_visibility="private"
            )
        with gr.Tab("Grid"):
            with gr.Row():
                first = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, label="First seed")
                columns = gr.Slider(1, 8, value=4, step=1, label="Columns")
                rows = gr.Slider(1, 8, value=4, step=1, label="Rows")
            many = gr.Button("Paint the grid", variant="primary", elem_id="paint-grid")
            many.click(grid, [first, columns, rows, *shared], picture("Faces"), api_name="grid")
        with gr.Tab("From face to face"):
            with gr.Row():
                start = gr.Number(0, precision=0, minimum=0, maximum=MAX_SEED, label="From seed")
                end = gr.Number(1, precision=0, minimum=0, maximum=MAX_SEED, label="To seed")
                steps = gr.Slider(2, 16, value=8, step=1, label="Pictures")
            walk = gr.Button("Paint the way", variant="primary", elem_id="paint-way")
            walk.click(way, [start, end, steps, *shared], picture("The way"), api_name="way")
        with gr.Accordion("More", open=False):
            truncation.render()
    return app


if __name__ == "__main__":
    build().launch(theme=gr.themes.Soft(font=FONT, font_mono=FONT_MONO), css=LARGE, footer_links=["api", "settings"])
