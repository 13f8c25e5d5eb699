"""The Gradio application in headless Chromium, and the folder of a Space, which needs gradio, numpy and onnxruntime."""

import ast
import contextlib
import http.server
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.__main__ import main
from export.demo.config import DemoConfig
from export.demo.run import answers
from export.demo.space import gradio_version, write_space
from export.sample import UsageError, image_grid, latents, load_onnx

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from free_port import free_port  # noqa: E402
from process_end import finish, wait_until  # noqa: E402


@pytest.fixture(scope="module")
def python():
    """The interpreter, where it has gradio."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed: pip install '.[test]'")
    return sys.executable


@pytest.fixture(scope="module")
def space(onnx_file, tmp_path_factory):
    """The folder of a Space that no test may change."""
    folder = tmp_path_factory.mktemp("demo") / "space"
    report = write_space(DemoConfig(model=str(onnx_file), title='A "title": it\'s ours'), folder)
    assert report.folder == folder and set(report.files) == {path.name for path in folder.iterdir()}
    assert report.size == sum(path.stat().st_size for path in folder.iterdir())
    return folder


@pytest.fixture
def outside():
    """A proxy that nobody may call: (its address, a function that counts who did)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)

        def callers() -> int:
            count = 0
            while True:
                try:
                    listener.accept()[0].close()
                except TimeoutError:
                    return count
                count += 1

        yield f"http://127.0.0.1:{listener.getsockname()[1]}", callers


@pytest.fixture
def application(outside, tmp_path):
    """A function (command, folder) that starts it on a free port and returns its address once it answers."""
    started = []

    def start(command, folder, port_option):
        port = free_port()
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), outside[0])
        environment = os.environ | proxies | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        environment |= {"GRADIO_SERVER_PORT": str(port)}
        environment.pop("ORT_DISABLE_TELEMETRY", None)  # of conftest.py: sample.py must do it itself
        command = [*command, "--port", str(port)] if port_option else command
        pipes = {"stdout": subprocess.DEVNULL, "stderr": errors, "text": True}
        started.append(subprocess.Popen(command, cwd=folder, env=environment, **pipes))
        address = f"http://127.0.0.1:{port}/"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def answers():
            assert started[-1].poll() is None, (tmp_path / "errors").read_text()
            with contextlib.suppress(OSError):
                opener.open(address, timeout=60).close()
                return True

        wait_until(answers)
        return address

    with (tmp_path / "errors").open("w") as errors:
        yield start
    for process in started:
        process.terminate()
        finish(process)


def downloaded_image(page, label, tmp_path) -> np.ndarray:
    """The image that gr.Image holds, as its download button gives it, (H, W, 3) int."""
    with page.expect_download() as download:
        page.locator(f".face-image:visible:has-text('{label}')").get_by_label("Download").click()
    download.value.save_as(tmp_path / "image.png")
    with Image.open(tmp_path / "image.png") as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_click_in_the_demo_generates_what_onnxruntime_generates(
    python, onnx_file, application, outside, open_page, tmp_path
):
    address = application([python, "-m", "export", "demo", "--model", str(onnx_file)], ROOT, port_option=True)
    page = open_page(address, wait=".face-image:visible img")  # the face of seed 0, before any click
    generator = load_onnx(onnx_file, "cpu")
    face = downloaded_image(page, "Face", tmp_path)
    assert np.abs(face - generator.uint8_images(latents([0], 32))[0].astype(int)).max() <= 1

    before = page.get_attribute(".face-image:visible img", "src")
    page.get_by_label("Seed").fill("1234")
    page.click("#generate")
    page.wait_for_function("s => document.querySelector('.face-image img').src !== s", arg=before)
    face = downloaded_image(page, "Face", tmp_path)
    assert np.abs(face - generator.uint8_images(latents([1234], 32))[0].astype(int)).max() <= 1

    page.get_by_role("tab", name="Grid").click()
    page.click("#generate-grid")
    page.wait_for_selector(".face-image:visible:has-text('Faces') img")
    wanted = image_grid(generator.uint8_images(latents(range(16), 32)), 4).astype(int)
    assert np.abs(downloaded_image(page, "Faces", tmp_path) - wanted).max() <= 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [line for line in page.said if line.startswith("error")] == []
    assert outside[1]() == 0, "the application itself asked somebody"


@pytest.mark.slow
def test_the_space_generates_the_way_with_nothing_but_its_requirements(python, space, application, open_page, tmp_path):
    phone = {"viewport": {"width": 390, "height": 844}}
    page = open_page(application([python, "app.py"], space, port_option=False), wait="#generate", **phone)
    assert page.title() == 'A "title": it\'s ours'
    page.get_by_role("tab", name="From face to face").click()
    page.click("#generate-way")
    page.wait_for_selector(".face-image:visible:has-text('The way') img")
    strip = downloaded_image(page, "The way", tmp_path)
    generator = load_onnx(space / "model.onnx", "cpu")
    ends = generator.uint8_images(latents([0, 1], 32)).astype(int)
    assert strip.shape == (16, 8 * 16, 3)
    assert np.abs(strip[:, :16] - ends[0]).max() <= 1 and np.abs(strip[:, -16:] - ends[1]).max() <= 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("From seed").fill("-5")
    page.click("#generate-way")
    page.wait_for_selector("text=/whole number|less than minimum/i")


@pytest.mark.slow
def test_a_conditional_space_takes_a_class_its_number_its_name_and_all_numbers(python, save_model, tmp_path):
    model = save_model(tmp_path / "model", label_size=2)
    facts = json.loads((model / "config.json").read_text()) | {"label_names": ["Male", "Smiling"]}
    (model / "config.json").write_text(json.dumps(facts))
    write_space(DemoConfig(model=str(model)), tmp_path / "space")
    program = "import app; print([app.face(5, 9, label).tolist() for label in ('1', 'Smiling', '0,1', '-1,0.5')])"
    ran = subprocess.run([python, "-c", program], cwd=tmp_path / "space", capture_output=True, text=True, check=True)
    *same, other = map(np.array, ast.literal_eval(ran.stdout.splitlines()[-1]))
    generator, z = load_onnx(tmp_path / "space" / "model.onnx", "cpu"), latents([5], 32)
    for image in same:
        np.testing.assert_array_equal(image, generator.uint8_images(z, np.float32([[0, 1]]))[0])
    np.testing.assert_array_equal(other, generator.uint8_images(z, np.float32([[-1, 0.5]]))[0])


def test_the_space_imports_what_its_requirements_name_and_no_more(space):
    wanted = set(re.findall(r"^[a-z]+", (space / "requirements.txt").read_text(), re.MULTILINE)) | {"sample"}
    imported = set()
    for file in ("app.py", "sample.py"):
        for node in ast.walk(ast.parse((space / file).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    # the root of our errors is taken where it is there: tests/export/test_sample.py runs sample.py without it
    assert imported - set(sys.stdlib_module_names) - {"celebahq"} == wanted


def test_the_spaces_card_is_one_that_the_hub_reads(space):
    from huggingface_hub import SpaceCard

    data = SpaceCard.load(space / "README.md").data
    assert (data.title, data.sdk, data.app_file) == ('A "title": it\'s ours', "gradio", "app.py")
    assert data.license == "cc-by-nc-4.0"
    assert data.sdk_version == gradio_version()
    assert len(data.short_description) <= 60 and len(data.emoji) == 1
    assert f"gradio=={data.sdk_version}" in (ROOT / "constraints.txt").read_text()


def refused(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as error:
        main(["demo", *map(str, arguments)])
    assert error.value.code == 2
    return capsys.readouterr().err


def test_what_the_demo_cannot_use_is_refused_in_a_line(onnx_file, space, tmp_path, capsys, monkeypatch):
    assert "is there already, expected a new folder" in refused(capsys, "--model", onnx_file, "--space", space)
    assert "expected an .onnx file" in refused(capsys, "--model", "nothing.onnx", "--space", tmp_path / "space")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert f"pip install gradio=={gradio_version()}" in refused(capsys, "--model", onnx_file)
    monkeypatch.undo()


class Application:
    """Stands for a process: it ends after so many looks, or never."""

    def __init__(self, looks=None):
        self.looks = looks

    def poll(self):
        self.looks = None if self.looks is None else self.looks - 1
        return 1 if self.looks == 0 else None


def test_the_address_is_said_once_it_answers(monkeypatch):
    """Not before: a browser that is opened too early shows an error."""
    port = free_port()
    assert answers(port, Application(looks=3)) is False

    class Late(http.server.BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            Late.asked += 1
            self.send_response(200 if Late.asked > 2 else 503)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert answers(port, Application()) is True
        server.shutdown()
    assert Late.asked == 3


def test_a_port_that_is_taken_is_refused():
    from export.demo.run import check_port

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port: got {port}, which cannot be used .*, expected a free port"):
            check_port(port)
    with pytest.raises(UsageError, match="--port: got 0, expected 1 to 65535"):
        check_port(0)
