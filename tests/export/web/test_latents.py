"""The page's JavaScript draws the latents that numpy draws, and moves between them as export.sample does."""

import numpy as np
import pytest

from export.sample import latents, slerp

SEEDS = [0, 1, 42, 123456789, 2**31, 2**32 - 1]


@pytest.fixture(scope="module")
def script(chromium, page_folder):
    """A function that runs JavaScript with latents.js imported as `m`."""
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=page_folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/style.css")
        yield lambda body, argument=None: page.evaluate(
            f"async (x) => {{ const m = await import('/latents.js'); {body} }}", argument
        )
        page.close()
        server.shutdown()


@pytest.mark.parametrize("seed", SEEDS)
def test_latent_of_a_seed_is_numpys_bit_for_bit(script, seed):
    ours = np.array(script("return [...m.latent(x, 5001)]", seed), np.float32)  # 5001: past several twists, and odd
    np.testing.assert_array_equal(ours, latents([seed], 5001)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_stream_before_rounding_is_numpys_to_the_last_bits(script, seed):
    body = "const r = new m.RandomState(x); return Array.from({length: 5000}, () => r.normal())"
    ours, numpys = np.array(script(body, seed)), np.random.RandomState(seed).randn(5000)
    # a browser's logarithm and numpy's may differ in the last bit, nothing else does
    np.testing.assert_array_almost_equal_nulp(ours, numpys, nulp=4)


def test_uniform_stream_is_numpys_exactly(script):
    body = "const r = new m.RandomState(x); return Array.from({length: 5000}, () => r.uniform())"
    for seed in SEEDS:
        np.testing.assert_array_equal(script(body, seed), np.random.RandomState(seed).random_sample(5000))


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 1.0])
def test_way_between_faces_is_that_of_the_command_line(script, fraction):
    ours = script("return [...m.slerp(m.latent(3, 512), m.latent(8, 512), x)]", fraction)
    a, b = latents([3, 8], 512)[:, None]
    np.testing.assert_allclose(ours, slerp(a, b, fraction)[0], atol=2e-6)


def test_moving_adds_each_amount_of_its_direction(script):
    z, directions, amounts = [1.0, 2.0, 3.0], [0.0, 1.0, 0.0, 0.5, 0.0, -0.5], [2.0, -4.0]
    body = "return [...m.moved(Float32Array.from(x[0]), Float32Array.from(x[1]), x[2])]"
    assert script(body, [z, directions, amounts]) == [-1.0, 4.0, 5.0]
