"""Generating from an .onnx tells nobody, although onnxruntime would."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATE = "import sys; from export.sample import latents, load_onnx; load_onnx(sys.argv[1])(latents([0], 32))"


def identifiers(script, onnx_file, home) -> list[Path]:
    """What a program leaves in an empty home; onnxruntime's events begin with an identifier of this machine there."""
    home.mkdir()
    # conftest.py's own setting, or that of a CI service, would keep onnxruntime silent by itself
    names = {"ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "BUILDKITE", "JENKINS_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    # nothing may leave this machine while the test shows what would
    environment |= dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    subprocess.run([sys.executable, "-c", script, str(onnx_file)], cwd=ROOT, env=environment, check=True)
    return [path for path in home.rglob("*") if path.is_file()]


def test_generating_leaves_no_identifier_of_this_machine_to_send(onnx_file, tmp_path):
    assert identifiers(GENERATE, onnx_file, tmp_path / "ours") == []
