"""Train all restoration networks on one GPU, in slices: run the same command again until it says that all is done.

    python benchmarks/gpu/restoration.py pack --photos DIR --testsets DIR --output photos.zip
    python benchmarks/gpu/restoration.py train --data photos.zip --state STATE --output OUT [--minutes 9]

`train` takes up where the last slice stopped, ends within the minutes given, and leaves in OUT: weights.zip (the
averaged weights so far, half precision), log.jsonl, table.txt, strip images, and state.zip.00 ... (what the next
slice needs where the machine is not kept: copy them into STATE). Length: about 11 minutes of one H100 in all.
Prints, last, a table of every network on Classic5, Set5 and Set14 against the targets.
"""

import argparse
import io
import json
import sys
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# Networks in the order of training, with their seconds. The learning rate of each follows the time it has had.
PLAN = {
    "artifacts-full": 165,
    "superres-full-psnr": 190,
    "artifacts-fast": 70,
    "superres-fast-psnr": 75,
    "superres-full-gan": 90,
    "superres-fast-gan": 60,
}
PART = 15 * 2**20  # bytes of one part of the state, under the limit of a file that comes back
WRAP_UP = 25.0  # seconds at a slice's end for the table and for writing


def pack(photos: Path, testsets: Path, output: Path) -> None:
    """Write photographs and test sets into one zip of about 30 MiB.

    The test sets stay lossless. The training photographs become AVIF at 47 dB (BSDS500, itself JPEG Q95, whose own
    damage is several times larger) or 51 dB (the lossless ones): an error far under what the networks must repair.
    """
    from PIL import Image

    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
        for folder, kind in ((photos, "photos"), (testsets, "testsets")):
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() not in (".jpg", ".png"):
                    continue
                image, packed = Image.open(path).convert("RGB"), io.BytesIO()
                if kind == "testsets":
                    image.save(packed, "WEBP", lossless=True, quality=90, method=5)
                elif path.suffix == ".jpg":
                    image.save(packed, "AVIF", quality=87, speed=6, subsampling="4:2:0")
                else:
                    image.save(packed, "AVIF", quality=93, speed=6, subsampling="4:4:4")
                suffix = ".webp" if kind == "testsets" else ".avif"
                archive.writestr(f"{kind}/{path.relative_to(folder).with_suffix(suffix).as_posix()}", packed.getvalue())
    print(f"{output}: {output.stat().st_size / 2**20:.1f} MiB")


def unpack_state(state: Path) -> None:
    """Put together state.zip.00, .01 ... of an earlier slice, where STATE holds nothing newer."""
    parts = sorted(state.glob("state.zip.*"))
    if parts and not any(state.glob("*/config.json")):
        with zipfile.ZipFile(io.BytesIO(b"".join(part.read_bytes() for part in parts))) as archive:
            archive.extractall(state)


def write_output(state: Path, output: Path) -> None:
    """Leave weights, logs, images and the state in OUT, as at most eight files of 16 MiB."""
    with zipfile.ZipFile(output / "weights.zip", "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(state.glob("*/*.safetensors")):
            archive.write(path, path.name)
    lines = []
    for path in sorted(state.glob("*/log.jsonl")):
        lines += [json.dumps({"run": path.parent.name} | json.loads(line)) for line in path.read_text().splitlines()]
    (output / "log.jsonl").write_text("\n".join(lines) + "\n")
    from PIL import Image

    strips = [Image.open(path) for path in sorted(state.glob("*/strip.png"))]
    if strips:
        sheet = Image.new("RGB", (sum(s.width + 8 for s in strips), max(s.height for s in strips)), "white")
        x = 0
        for strip in strips:
            sheet.paste(strip, (x, 0))
            x += strip.width + 8
        sheet.save(output / "strips.png")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(state.glob("*/*")):
            if path.parent.name != "photos":
                archive.write(path, path.relative_to(state).as_posix())
    data = whole.getvalue()
    for i in range(0, len(data), PART):
        (output / f"state.zip.{i // PART:02d}").write_bytes(data[i : i + PART])


def train_slice(args: argparse.Namespace) -> bool:
    """Train until the slice or the plan is over. Returns whether the whole plan is done."""
    from train.restoration.config import RestorationConfig
    from train.restoration.loop import train

    stop_at = args.started + 60 * args.minutes - WRAP_UP
    args.state.mkdir(parents=True, exist_ok=True)
    unpack_state(args.state)
    for name in args.only or PLAN:
        if (args.state / name / "done").exists():
            continue
        if time.monotonic() > stop_at - 5:
            return False
        net, size, kind = (*name.split("-"), "psnr")[:3]
        config = RestorationConfig(
            photos=args.data,
            testsets=args.data,
            outdir=args.state,
            net=net,
            size=size,
            kind=kind,
            init=args.state / f"{net}-{size}-psnr" / f"{net}-{size}-psnr.safetensors" if kind == "gan" else None,
            minutes=PLAN[name] * args.scale / 60,
            batch=args.batch or (16 if kind == "gan" else 32),
            texture_weight=args.texture_weight,
            workers=args.workers,
            device=args.device,
        )
        if not train(config, stop_at=stop_at, keep_state=False):
            return False
    return True


def main() -> None:
    """Parse the command line and run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="put photographs and test sets into one file")
    packing.add_argument("--photos", type=Path, required=True)
    packing.add_argument("--testsets", type=Path, required=True)
    packing.add_argument("--output", type=Path, required=True)
    training = commands.add_parser("train", help="train the next slice")
    training.add_argument("--data", type=Path, required=True, help="file made by pack")
    training.add_argument("--state", type=Path, required=True, help="folder kept between slices")
    training.add_argument("--output", type=Path, required=True, help="folder for weights, logs and images")
    training.add_argument("--minutes", type=float, default=9.0, help="length of this slice, all included")
    training.add_argument("--scale", type=float, default=1.0, help="multiply every network's training time")
    training.add_argument("--only", nargs="*", choices=list(PLAN), help="train these only")
    training.add_argument("--workers", type=int, default=12, help="processes that degrade photographs")
    training.add_argument("--batch", type=int, default=0, help="patches a step; 0: 32, or 16 adversarially")
    training.add_argument("--texture-weight", type=float, default=0.7)
    training.add_argument("--device", default="cuda", choices=("auto", "cpu", "cuda"))
    args = parser.parse_args()
    if args.command == "pack":
        pack(args.photos, args.testsets, args.output)
        return
    from celebahq.device import choose_device

    choose_device(args.device)  # refused before anything is made
    args.started = started
    done = train_slice(args)

    import torch

    from train.restoration.evaluate import EvaluateConfig, evaluate

    args.output.mkdir(parents=True, exist_ok=True)
    write_output(args.state, args.output)
    device = "cuda" if torch.cuda.is_available() and args.device != "cpu" else "cpu"
    table = evaluate(EvaluateConfig(weights=args.state, testsets=args.data, device=device))
    (args.output / "table.txt").write_text(table)
    print("all networks are trained" if done else "not yet whole: run the same command again", flush=True)
    print(f"{(time.monotonic() - started) / 60:.2f} min", flush=True)


if __name__ == "__main__":
    from celebahq.command import run_command

    run_command(main, "restoration.py", interrupted="stopped; the same command goes on from what STATE holds")
