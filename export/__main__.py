"""python -m export onnx|images|video|hub|web|demo: a trained generator, everywhere."""

import re
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

from celebahq.command import run_command


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one subcommand and exit: 0 done, 1 a check or a push failed, 2 an option or a file cannot be used, 130 after
    Ctrl-C."""
    run_command(
        lambda: run(args), "python -m export", interrupted="stopped; every file that bears its name is complete"
    )


def run(args: Sequence[str] | None = None) -> None:
    """Run one subcommand, or raise what a user can mend.

    Everything is imported behind run_command, which has an answer to Ctrl-C.
    """
    try:
        import tyro
    except ModuleNotFoundError:
        sys.exit(
            "python -m export: got a Python without tyro, expected one with this package installed (pip install .); "
            "with numpy and onnxruntime alone run python export/sample.py --model model.onnx --seeds 0-15"
        )
    from tyro.conf import subcommand

    from export.config import ImagesConfig, OnnxConfig, VideoConfig
    from export.demo.config import DemoConfig
    from export.hub.config import HubConfig
    from export.web.config import WebConfig

    Command = (
        Annotated[OnnxConfig, subcommand("onnx")]
        | Annotated[ImagesConfig, subcommand("images")]
        | Annotated[VideoConfig, subcommand("video")]
        | Annotated[HubConfig, subcommand("hub")]
        | Annotated[WebConfig, subcommand("web")]
        | Annotated[DemoConfig, subcommand("demo")]
    )
    config = tyro.cli(Command, args=join_label_words(args), prog="python -m export", description=__doc__)
    # each command imports what it runs on: torch only for onnx, only onnxruntime for images of an .onnx
    if isinstance(config, OnnxConfig):
        from export.onnx_export.to_onnx import export_onnx

        print(
            export_onnx(
                config.model,
                config.output,
                overwrite=config.overwrite,
                resolution=config.resolution,
                uint8=config.uint8,
                precision=config.precision,
                external_data=config.external_data,
            )
        )
    elif isinstance(config, HubConfig):
        from export.hub.to_hub import push_to_hub

        print(push_to_hub(config))
    elif isinstance(config, WebConfig):
        from export.web.page import build_page

        print(build_page(config))
    elif isinstance(config, DemoConfig):
        from export.demo.run import run_demo

        if (space := run_demo(config)) is not None:
            print(space)
    elif isinstance(config, VideoConfig):
        from export.video import make_video

        print(make_video(config))
    else:
        from export.images import generate_images

        print(generate_images(config))


def join_label_words(args: Sequence[str] | None) -> list[str]:
    """Return a command line's words with "--label", "-1,0.3" as one: the second would be taken for an option."""
    words: list[str] = []
    for word in sys.argv[1:] if args is None else args:
        if words and words[-1] == "--label" and re.match(r"-\.?[0-9]", word):
            words[-1] = f"--label={word}"
        else:
            words.append(word)
    return words


if __name__ == "__main__":
    main()
