"""What the page says where it cannot run: a sentence, never an empty page or a wrong face."""

import shutil

import pytest

NOTICE = "#notice:not([hidden])"


@pytest.fixture
def copy(page_folder, tmp_path):
    """A page that a test may break."""
    return shutil.copytree(page_folder, tmp_path / "page")


def notice(page) -> str:
    assert not page.is_visible("#controls")
    return page.inner_text("#notice")


def test_opened_as_a_file_it_says_how_to_serve_it(open_page, page_folder):
    text = notice(open_page(f"file://{page_folder}/index.html", wait=NOTICE))
    assert "python -m http.server" in text and "http://localhost:8000" in text


def test_without_webassembly_it_asks_for_another_browser(open_page, serve, page_folder):
    page = open_page(serve(page_folder), wait=NOTICE, init="delete globalThis.WebAssembly")
    assert notice(page).startswith("This browser has no WebAssembly")


def test_without_javascript_it_says_so(open_page, serve, page_folder):
    page = open_page(serve(page_folder), wait="noscript p", java_script_enabled=False)
    assert "JavaScript" in page.inner_text("noscript")


@pytest.mark.parametrize("file", ["model.onnx", "runtime/ort-wasm.wasm", "worker.js"])
def test_a_missing_file_is_named(open_page, serve, copy, file):
    (copy / file).unlink()
    text = notice(open_page(serve(copy), wait=NOTICE))
    assert file.split("/")[-1] in text and text.startswith("The generator could not be started")


def test_a_cut_model_is_noticed(open_page, serve, copy):
    (copy / "model.onnx").write_bytes((copy / "model.onnx").read_bytes()[:5000])
    assert "model.onnx has 5000 bytes" in notice(open_page(serve(copy), wait=NOTICE))


def test_a_generator_that_generates_other_images_is_not_used(open_page, serve, copy):
    images = bytearray((copy / "references.bin").read_bytes())
    images[100] ^= 0x40  # one value of the image that WebAssembly is checked with, wrong by 64
    (copy / "references.bin").write_bytes(images)
    text = notice(open_page(serve(copy), wait=NOTICE))
    assert "its images are wrong by 6" in text


@pytest.fixture
def graphics(copy):
    """A page whose WebGPU is the WebAssembly build under its name, so that the tests need no graphics; and the script
    that gives the browser an adapter."""
    worker = (copy / "worker.js").read_text()
    (copy / "worker.js").write_text(worker.replace("executionProviders: [backend]", 'executionProviders: ["wasm"]'))
    facts = (copy / "page.json").read_text()
    for kind in ("", "-loader"):
        facts = facts.replace(f'"ort-webgpu{kind}.js"', f'"ort-wasm{kind}.js"')
    facts = facts.replace('"ort-webgpu.wasm"', '"ort-wasm.wasm"').replace("26781914", "14239897")
    (copy / "page.json").write_text(facts)
    return copy, "Object.defineProperty(navigator, 'gpu', {value: {requestAdapter: async () => ({})}})"


def test_webgpu_is_used_once_its_images_passed_and_left_when_it_fails(open_page, serve, graphics):
    folder, adapter = graphics
    worker = (folder / "worker.js").read_text()
    worker = worker.replace("session = await", "self.backend = backend; session = await")
    failure = "if (self.backend === 'webgpu' && z[0] > 1.7) throw new Error('device lost');"  # seed 0: 1.76, 1: 1.62
    worker = worker.replace("const start = performance.now();", f"const start = performance.now(); {failure}")
    (folder / "worker.js").write_text(worker)
    facts = (folder / "page.json").read_text()
    (folder / "page.json").write_text(facts.replace('"seed": 0', '"seed": 1'))  # whose reference is the second image
    images = (folder / "references.bin").read_bytes()
    third = len(images) // 3
    (folder / "references.bin").write_bytes(images[third : 2 * third] + images[third:])

    page = open_page(serve(folder) + "#seed=1", init=adapter)
    page.select_option("#backend", "webgpu")
    page.wait_for_selector("text=Its images passed the check.")
    assert page.input_value("#backend") == "webgpu"
    page.click("#previous")
    page.wait_for_selector("text=WebGPU stopped: device lost.")
    page.wait_for_function("() => document.getElementById('status').textContent === 'Face of seed 0'")
    assert page.input_value("#backend") == "wasm"


def test_webgpu_that_generates_other_images_gives_way_to_webassembly(open_page, serve, graphics):
    folder, adapter = graphics
    images = bytearray((folder / "references.bin").read_bytes())
    images[-1] ^= 0x40  # one value of the third image, which only WebGPU must generate
    (folder / "references.bin").write_bytes(images)
    page = open_page(serve(folder), init=adapter)
    page.select_option("#backend", "webgpu")
    page.wait_for_selector("text=WebGPU is not used: its images are wrong by 6")
    assert page.input_value("#backend") == "wasm"
