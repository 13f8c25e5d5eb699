"""The page in headless Chromium: what it generates is what onnxruntime generates, and it talks to nobody."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from export.sample import latents, load_onnx, one_hot, slerp

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SHOWN = "[...document.getElementById('face').getContext('2d').getImageData(0, 0, 16, 16).data]"


@pytest.fixture(scope="module")
def generate(page_folder):
    """A function z (latent,) -> (R, R, 3) int, by onnxruntime for Python from the page's own file."""
    generator = load_onnx(page_folder / "model.onnx", "cpu")
    return lambda z: generator.uint8_images(z[None].astype(np.float32))[0].astype(int)


def shown(page) -> np.ndarray:
    """What the canvas shows, (16, 16, 3) int."""
    return np.array(page.evaluate(SHOWN)).reshape(16, 16, 4)[:, :, :3]


def says(page, text):
    """Wait until the status line is text."""
    page.wait_for_function("t => document.getElementById('status').textContent === t", arg=text)


def is_still(page):
    """Wait until what is shown is what was wished last: two frames on, in which a film may take one more step."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function("() => document.getElementById('face').getAttribute('aria-busy') === 'false'")


def same(a, b):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1, "more than one gray level apart"


def of_seed(seed):
    return latents([seed], 32)[0]


def test_a_click_generates_another_face_and_the_png_holds_it(open_page, serve, page_folder, generate):
    page = open_page(serve(page_folder))
    first = shown(page)
    same(first, generate(of_seed(0)))
    page.click("text=Another face")
    page.wait_for_function("() => document.getElementById('seed').value !== '0'")
    seed = int(page.input_value("#seed"))
    says(page, f"Face of seed {seed}")
    assert np.abs(shown(page) - first).max() > 8
    same(shown(page), generate(of_seed(seed)))

    with page.expect_download() as download:
        page.click("text=Save as PNG")
    assert download.value.suggested_filename == f"seed-{seed}.png"
    with Image.open(download.value.path()) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), shown(page))
    assert page.title() == "Faces & <friends>"
    assert page.said == []


def test_it_asks_its_own_server_only_and_for_one_build_of_the_runtime(open_page, serve, page_folder):
    address = serve(page_folder)
    page = open_page(address)
    page.click("#next")
    says(page, "Face of seed 1")
    assert all(url.startswith(address) for url in page.asked)
    asked = {url.removeprefix(address) for url in page.asked}
    assert {"model.onnx", "worker.js", "runtime/ort-wasm.wasm"} <= asked  # the worker's own requests are seen too
    assert not [name for name in asked if "webgpu" in name]


def test_seed_is_typed_stepped_and_kept_in_the_address(open_page, serve, page_folder, generate):
    address = serve(page_folder)
    page = open_page(f"{address}#seed=7")
    says(page, "Face of seed 7")
    same(shown(page), generate(of_seed(7)))
    page.fill("#seed", "4294967295")
    page.keyboard.press("Enter")
    says(page, "Face of seed 4294967295")
    same(shown(page), generate(of_seed(2**32 - 1)))
    assert page.url == f"{address}#seed=4294967295"
    page.click("#next")  # the last one already
    page.click("#previous")
    says(page, "Face of seed 4294967294")
    page.fill("#seed", "1.5")
    page.keyboard.press("Tab")
    says(page, "A seed is an integer from 0 to 4294967295.")
    assert page.get_attribute("#seed", "aria-invalid") == "true"
    page.click("#previous")
    says(page, "Face of seed 4294967293")
    assert page.get_attribute("#seed", "aria-invalid") == "false"
    assert page.said == []


def test_slider_moves_the_face_along_its_direction(open_page, serve, page_folder, generate):
    directions = np.fromfile(page_folder / "directions.bin", "<f4").reshape(8, 32)
    page = open_page(serve(page_folder))
    page.evaluate("for (const [k, v] of [[0, 3], [5, -2.5]]) { const d = document.getElementById(`d${k}`);"
                  " d.value = v; d.dispatchEvent(new Event('input')) }")  # fmt: skip
    says(page, "Face of seed 0, changed")
    is_still(page)
    same(shown(page), generate(of_seed(0) + 3 * directions[0] - 2.5 * directions[5]))
    assert np.abs(shown(page) - generate(of_seed(0))).max() > 8
    page.click("text=Undo the changes")
    says(page, "Face of seed 0")
    same(shown(page), generate(of_seed(0)))
    assert page.said == []


def test_way_leads_from_face_to_face_and_plays_until_paused(open_page, serve, page_folder, generate):
    page = open_page(serve(page_folder))
    page.fill("#target", "9")
    page.keyboard.press("Tab")
    page.evaluate("const w = document.getElementById('way'); w.value = 0.4; w.dispatchEvent(new Event('input'))")
    says(page, "Face of seed 0, 40 % of the way to seed 9")
    same(shown(page), generate(slerp(of_seed(0)[None], of_seed(9)[None], 0.4)[0]))

    page.click("#play")
    page.wait_for_function("() => Number(document.getElementById('seed').value) === 9")  # it arrived
    assert page.get_attribute("#play", "aria-pressed") == "true"
    page.click("#play")
    is_still(page)
    text, seed = page.inner_text("#status"), page.input_value("#seed")  # 9, or whose turn it was
    still = shown(page)
    page.wait_for_timeout(500)
    np.testing.assert_array_equal(shown(page), still)
    way = float(page.input_value("#way"))
    assert re.fullmatch(rf"Face of seed {seed}(, {round(way * 100)} % of the way to seed [0-9]+)?", text)
    assert page.said == []


def test_everything_is_reached_and_worked_by_keyboard(open_page, serve, page_folder):
    page = open_page(serve(page_folder))
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id"))
    wanted = ["seed", "previous", "next", "random", "save", *(f"d{k}" for k in range(8)), "reset", "target", "play"]
    assert names[:18] == [*wanted, "way", "backend"]
    page.focus("#next")
    page.keyboard.press("Enter")
    says(page, "Face of seed 1")
    page.focus("#d0")
    page.keyboard.press("ArrowRight")
    says(page, "Face of seed 1, changed")
    assert page.inner_text("output[for=d0]") == "0.1"
    # a visible frame around what has the focus
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"


def test_every_control_has_a_name_and_the_image_too(open_page, serve, page_folder):
    page = open_page(serve(page_folder))
    for control in page.query_selector_all("input, select, button"):
        name = control.evaluate("e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent")
        assert name.strip(), control.get_attribute("id")
    assert page.get_attribute("#face", "role") == "img"
    assert page.get_attribute("#face", "aria-label") == "Face of seed 0"
    assert page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize("width", [320, 390])
def test_phone_scrolls_down_only_and_keeps_the_face_in_sight(open_page, serve, page_folder, width):
    page = open_page(serve(page_folder), **PHONE | {"viewport": {"width": width, "height": 700}})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    box = page.query_selector("#face").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 700
    for button in page.query_selector_all("button"):
        assert button.bounding_box()["height"] >= 44


def test_page_is_dark_where_the_device_is(open_page, serve, page_folder):
    address = serve(page_folder)
    brightness = {}
    for scheme in ("light", "dark"):
        page = open_page(address, color_scheme=scheme, viewport={"width": 600, "height": 500})
        with Image.open(io.BytesIO(page.screenshot())) as image:
            brightness[scheme] = image.convert("L").getpixel((3, 3))
    assert brightness["light"] > 230 and brightness["dark"] < 40


def test_webgpu_that_is_not_there_leaves_webassembly(open_page, serve, page_folder, generate):
    page = open_page(serve(page_folder), init="Object.defineProperty(navigator, 'gpu', {value: undefined})")
    page.select_option("#backend", "webgpu")
    page.wait_for_selector("text=WebGPU is not used: there is none here.")
    assert page.input_value("#backend") == "wasm"
    page.click("#next")
    says(page, "Face of seed 1")
    same(shown(page), generate(of_seed(1)))


def test_a_conditional_gray_generator_generates_the_class_that_is_chosen(
    open_page, serve, save_model, runtime, tmp_path
):
    from export.web.config import WebConfig
    from export.web.page import build_page

    folder = save_model(tmp_path / "model", label_size=3, image_channels=1)
    build_page(WebConfig(model=str(folder), output=tmp_path / "page", runtime=runtime, directions=2))
    generator = load_onnx(tmp_path / "page" / "model.onnx", "cpu")
    page = open_page(serve(tmp_path / "page"))
    for chosen in (0, 2):
        page.select_option("#label", str(chosen))
        page.wait_for_function("() => document.getElementById('face').getAttribute('aria-busy') === 'false'")
        wanted = generator.uint8_images(latents([0], 32), one_hot(chosen, 3, 1))[0].astype(int)
        same(shown(page), np.repeat(wanted, 3, axis=2))
    assert page.input_value("#numbers") == "0,0,1"

    # All its numbers, as attribute-conditional models want them.
    page.fill("#numbers", "0.3, -1 ,.5")
    page.keyboard.press("Enter")
    says(page, "Face of seed 0, label 0.3, -1 ,.5")
    wanted = generator.uint8_images(latents([0], 32), np.float32([[0.3, -1, 0.5]]))[0].astype(int)
    same(shown(page), np.repeat(wanted, 3, axis=2))
    assert page.input_value("#label") == ""
    for wrong in ("0.3,-1", "1,2,x", "1,2,1e99", "", "1,,2"):
        page.fill("#numbers", wrong)
        page.keyboard.press("Enter")
        says(page, "A label is 3 numbers with commas.")
        assert page.get_attribute("#numbers", "aria-invalid") == "true"
    page.fill("#numbers", "0 1 0")  # a class
    page.keyboard.press("Enter")
    says(page, "Face of seed 0")
    assert (page.input_value("#label"), page.get_attribute("#numbers", "aria-invalid")) == ("1", "false")
    wanted = generator.uint8_images(latents([0], 32), one_hot(1, 3, 1))[0].astype(int)
    same(shown(page), np.repeat(wanted, 3, axis=2))
    assert page.said == []
