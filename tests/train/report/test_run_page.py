"""The page of a run: all that was logged, nothing from outside, and no more of training's time than is said."""

import json
import re
import shutil
from html.parser import HTMLParser

from train.report import run_page
from train.report.curves import INK
from train.report.run_log import read_run
from train.report.run_page import RunPage, hardware, page_of, spread


class Links(HTMLParser):
    """Collects every address that a browser would load, or go to."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked = [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "srcset", "data", "xlink:href") or (name == "href" and tag in ("link", "image", "use")):
                self.loaded.append(value)
            elif name == "href":
                self.linked.append(value)


def test_page_loads_nothing_from_outside_and_links_to_the_grids(tmp_path, write_run):
    page = page_of(read_run(write_run(tmp_path / "a")), {"device": "CPU"}, {})
    links = Links()
    links.feed(page)
    assert len([x for x in links.loaded if x.startswith("data:image/jpeg;base64,")]) == 6
    assert all(x.startswith(("data:", "#")) for x in links.loaded)
    assert all((tmp_path / "a" / x).exists() for x in links.linked) and len(links.linked) == 6
    assert not re.search(r"@import|url\(\s*['\"]?http", page)


def test_page_tells_curves_time_per_resolution_changes_options_and_hardware(tmp_path, write_run):
    page = page_of(read_run(write_run(tmp_path / "a")), {"device": "CPU, 2 threads"}, {})
    assert page.count("<svg") == 6 and "currentColor" in page and INK not in page
    assert "16x16</td><td class=number>2</td><td class=number>3.3 minutes</td><td class=number>100<" in page
    assert "at 3 kimg</th><td>minibatch: 8 → 4" in page
    assert "&lt;b&gt;tiny&lt;/b&gt;" in page and "<b>tiny" not in page
    assert "CPU, 2 threads" in page and "6 of 6 kimg, 16x16" in page and "5 kimg, 16x16" in page


def test_the_strip_begins_with_what_was_learnt_last_and_ends_with_the_reals(tmp_path, write_run):
    folder = write_run(tmp_path / "a")
    shutil.copy(next(folder.glob("fakes-*.png")), folder / "reals.png")
    page = page_of(read_run(folder), {"device": "CPU"}, {})
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    shown = [float(caption.split()[0]) for caption in captions[:-1]]
    assert captions[-1] == "reals" and shown == sorted(shown, reverse=True) and len(shown) == 6
    assert "row-reverse" in page  # from right to left: the oldest stands leftmost


def test_a_long_run_shows_grids_spread_over_all_of_it():
    assert spread(3, 24) == [0, 1, 2]
    chosen = spread(1000, 24)
    assert (len(set(chosen)), chosen[0], chosen[-1]) == (24, 0, 999)


def test_page_is_written_again_only_when_training_has_paid_for_it(tmp_path, monkeypatch, write_run):
    folder, now = write_run(tmp_path / "a"), [0.0]

    def draw(*arguments):
        now[0] += 2.0
        return "page"

    monkeypatch.setattr(run_page, "page_of", draw)
    monkeypatch.setattr(run_page.time, "monotonic", lambda: now[0])
    page = RunPage(folder, {})
    assert page.update()
    now[0] += 99
    assert not page.update()
    assert page.update(final=True)  # the end is always shown
    now[0] += 101
    assert page.update()
    assert not RunPage(tmp_path, {}).update(final=True)  # stopped before the first tick


def test_hardware_names_device_processor_and_pytorch():
    found = hardware("CPU, 1 thread", "fp32")
    assert found["device"] == "CPU, 1 thread" and found["precision"] == "fp32"
    assert all(found.values()) and json.dumps(found)


def test_numbers_stand_on_the_page_as_people_write_them(tmp_path, write_run):
    options = {"augment_kimg": 0.1 + 0.2, "learning_rate_at": [[8, 0.1 + 0.2]], "epsilon": 1e-8, "fade_kimg": 1 / 3}
    folder = write_run(tmp_path / "a", **options)
    (folder / "history.json").write_text(json.dumps([{"kimg": 3.0, "changed": {"drift": [0.1 + 0.2, 0.001]}}]))
    page = page_of(read_run(folder), {}, {})
    for shown in ("<td>0.3<", "<td>[[8, 0.3]]<", "<td>1e-08<", "<td>0.333333333333<", "drift: 0.3 → 0.001"):
        assert shown in page, shown
    assert "0.30000" not in page
