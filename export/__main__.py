"""python -m export onnx|images|video|hub|web|demo: a trained generator, everywhere."""

import re
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

try:
    import tyro
except ModuleNotFoundError:
    sys.exit(
        "python -m export: got a Python without tyro, expected one with this package installed (pip install .); "
        "with numpy and onnxruntime alone run python export/sample.py --model model.onnx --seeds 0-15"
    )

from celebahq.command import run_command
from export.config import ImagesConfig, OnnxConfig, UsageError, VideoConfig
from export.demo.config import DemoConfig
from export.hub_config import HubConfig
from export.web.config import WebConfig

Command = (
    Annotated[OnnxConfig, tyro.conf.subcommand("onnx")]
    | Annotated[ImagesConfig, tyro.conf.subcommand("images")]
    | Annotated[VideoConfig, tyro.conf.subcommand("video")]
    | Annotated[HubConfig, tyro.conf.subcommand("hub")]
    | Annotated[WebConfig, tyro.conf.subcommand("web")]
    | Annotated[DemoConfig, tyro.conf.subcommand("demo")]
)


def main(args: Sequence[str] | None = None) -> None:
    """Run one subcommand. Exits with 2 when an option or a file cannot be used, 1 when a check or a push failed, 130
    when it was stopped by Ctrl-C."""
    config = tyro.cli(Command, args=join_label(args), prog="python -m export", description=__doc__)
    # each command imports what it runs on: torch only for onnx, only onnxruntime for images of an .onnx
    try:
        if isinstance(config, OnnxConfig):
            from export.parity import ParityError
            from export.to_onnx import export_onnx

            try:
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
            except ParityError as error:
                sys.exit(f"error: {error}")  # exit code 1: the input is fine, the export is not
        elif isinstance(config, HubConfig):
            from export.to_hub import NotPublished, push_to_hub

            try:
                print(push_to_hub(config))
            except NotPublished as error:
                sys.exit(f"error: {error}")
        elif isinstance(config, WebConfig | DemoConfig):
            from export.demo.run import DemoFailure, run_demo
            from export.parity import ParityError
            from export.web.page import build_page

            try:
                print(build_page(config) if isinstance(config, WebConfig) else run_demo(config))
            except (ParityError, DemoFailure) as error:
                sys.exit(f"error: {error}")
        elif isinstance(config, VideoConfig):
            from export.video import make_video

            print(make_video(config))
        else:
            from export.images import paint_images

            print(paint_images(config))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("error: stopped; every file that bears its name is whole", file=sys.stderr)
        sys.exit(130)


def join_label(args: Sequence[str] | None) -> list[str]:
    """Return a command line's words with "--label", "-1,0.3" as one: the second would be taken for an option."""
    words: list[str] = []
    for word in sys.argv[1:] if args is None else args:
        if words and words[-1] == "--label" and re.match(r"-\.?[0-9]", word):
            words[-1] = f"--label={word}"
        else:
            words.append(word)
    return words


def command() -> NoReturn:
    """Run as a program: whatever the terminal takes, and whoever stops reading, nothing ends in a traceback."""
    run_command(main, "celebahq-export")


if __name__ == "__main__":
    command()
