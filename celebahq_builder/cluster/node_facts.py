"""What the last digits of a face depend on besides the options: libraries and kind of processor. Two machines compared.

Nothing heavy is imported: versions come from the installed packages, the processor from the system.
"""

import importlib.metadata
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

# Distributions that one import name may come from, the first that is installed counts.
_LIBRARIES = {
    "dlib": ("dlib-bin", "dlib"),
    "face_recognition_models": ("face_recognition_models",),
    "numpy": ("numpy",),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),  # CenterFace
    "opencv": ("opencv-python-headless", "opencv-python"),
    "pi-heif": ("pi-heif",),
    "pillow": ("pillow",),
    "scipy": ("scipy",),
    "simplejpeg": ("simplejpeg",),
    "torch": ("torch",),
}
# By these, libraries choose among routines that sum in another order or keep other intermediate digits.
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "sve")
PROCESSOR = "processor"


@cache
def node_facts() -> dict[str, str]:
    """Return version of each library ("none" where it is not installed) and kind of processor of this machine."""
    return {name: _version(names) for name, names in _LIBRARIES.items()} | {PROCESSOR: _processor()}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return the names of the facts that differ, in alphabetical order."""
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def why_unfit(expected: Mapping[str, str], found: Mapping[str, str], node: str) -> str:
    """Return one line about a node that would make other faces than the driver does; "" for one that fits.

    Args:
        expected: facts of the driver.
        found: facts of the node.
        node: its name, for the line.
    """
    differing = differences(expected, found)
    if not differing:
        return ""
    got = ", ".join(f"{name} {found.get(name, 'none')}" for name in differing)
    wanted = ", ".join(f"{name} {expected.get(name, 'none')}" for name in differing)
    if differing == [PROCESSOR]:
        remedy = "build on nodes of one kind, and start the build on one of them: others move faces by a gray level"
    else:
        remedy = "install the same there: pip install -c constraints.txt 'celebahq[ray]'"
    return f"--ray: got {got} on node {node}, expected {wanted} as where the build was started; {remedy}"


def _version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def _processor() -> str:
    """As "x86_64 GenuineIntel avx2 fma"; elsewhere than on Linux what Python knows."""
    machine = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{machine} {platform.processor()}".strip()
    of_first_core: dict[str, str] = {}
    for key, _, value in (line.partition(":") for line in lines):
        of_first_core.setdefault(key.strip(), value.strip())
    maker = of_first_core.get("vendor_id") or of_first_core.get("CPU implementer", "")
    flags = (of_first_core.get("flags") or of_first_core.get("Features", "")).split()
    return " ".join(filter(None, [machine, maker, *(name for name in _INSTRUCTIONS if name in flags)]))
