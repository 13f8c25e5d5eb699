"""python -m export demo: write the Space's folder, or run its application from a folder that goes away again."""

import http.client
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celebahq.errors import CelebAHQError
from export.demo.config import DemoConfig
from export.demo.space import SpaceReport, gradio_version, write_space
from export.sample import UsageError

_log = logging.getLogger("celebahq.export")


class DemoError(CelebAHQError, RuntimeError):
    """The application ended by itself; what it said is on the terminal."""

    exit_code = 1


def run_demo(config: DemoConfig) -> SpaceReport | None:
    """Write the folder of a Space and return what was written, or show the application until Ctrl-C and return None.

    Raises:
        UsageError: an option or the model cannot be used, or gradio is missing.
        DemoError: the application ended by itself.
        export.onnx_export.parity.ParityError: the export does not generate what PyTorch generates.
    """
    if config.space is not None:
        return write_space(config, config.space)
    if importlib.util.find_spec("gradio") is None:
        raise UsageError(
            f"gradio: not installed, expected it: pip install gradio=={gradio_version()}, or --space DIR and an "
            "environment of its own with its requirements.txt"
        )
    check_port(config.port)
    with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
        folder = Path(scratch) / "space"
        write_space(config, folder)
        environment = os.environ | {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_SERVER_PORT": str(config.port),
            "GRADIO_TEMP_DIR": str(Path(scratch) / "images"),
        }
        application = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=environment)
        # a polite kill of this command must not leave the application behind
        signal.signal(signal.SIGTERM, lambda *_: application.terminate())
        try:
            if answers(config.port, application):
                _log.info(f"http://127.0.0.1:{config.port} until Ctrl-C")
            code = application.wait()
        except KeyboardInterrupt:  # which the application got too
            application.terminate()
            application.wait()
            code = 0
    if code > 0:
        raise DemoError(f"app.py: ended with exit code {code}, what it said is above")
    _log.info("the demo has ended")
    return None


def answers(port: int, application: "subprocess.Popen[bytes]") -> bool:
    """Wait until the application answers at its port, however long it takes to start; False where it ends before."""
    while application.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            if connection.getresponse().status < 400:
                return True
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    return False


def check_port(port: int) -> None:
    """Raise UsageError where nothing can listen at a port of this machine."""
    if not 1 <= port <= 65535:
        raise UsageError(f"--port: got {port}, expected 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"--port: got {port}, which cannot be used ({error.strerror}), expected a free port"
            ) from None
