"""What a person rejects in report.html, and only that, is gone after the command that the page shows."""

import shlex

import h5py
import numpy as np
import tyro

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.report.file_page import build_command, drop_command


def everything(path):
    """Levels and columns of a dataset, by name."""
    with h5py.File(path) as file:
        levels = {name: file[name][:] for name in file if name.startswith("data")}
        return levels | {f"faces/{name}": column[:] for name, column in file["faces"].items()}


def opened(open_page, folder, count):
    page = open_page((folder / "report.html").as_uri())
    page.wait_for_function("n => document.getElementById('count').textContent.startsWith(`${n} of `)", arg=count)
    page.focus(".cell .open")
    return page


def downloaded(page):
    with page.expect_download() as download:
        page.click("#download")
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_rebuild_with_the_downloaded_list_leaves_those_three_out_and_everything_else_as_it_was(
    open_page, trouble, tmp_path
):
    photos, output = tmp_path / "photos", tmp_path / "f.h5"
    photos.mkdir()
    for i in range(10):
        (photos / f"p{i}.jpg").write_bytes(f"photo {i}".encode())
    odd = (photos / "# no comment.jpg", photos / " space.jpg")
    for path in odd:
        path.write_bytes(path.name.encode())
    options = {"input": photos, "output": output, "resolution": 32, "workers": 0, "restore": "off"}
    build(BuildConfig(**options))
    before = everything(output)
    names = [name.decode() for name in before["faces/source"]]
    gone = sorted({0, names.index(odd[0].name), names.index(odd[1].name)} | {11})[:4]

    page = opened(open_page, tmp_path, 12)
    for row in gone:
        page.click(f'.cell[aria-posinset="{row + 1}"] .cross')
    name, data = downloaded(page)
    page.click("#next")
    assert page.inner_text("#next-dialog code").endswith(f"--workers 0 --exclude {name}")
    (tmp_path / name).write_bytes(data)

    build(BuildConfig(**options, exclude=tmp_path / name))
    after = everything(output)
    assert before.keys() == after.keys()
    for column, values in before.items():
        np.testing.assert_array_equal(np.delete(values, gone, axis=0), after[column], err_msg=column)

    # The new page knows what it was told, in another browser too: the next list holds these and what is rejected then.
    page = opened(open_page, tmp_path, 12 - len(gone))
    assert page.inner_text("#decided-count") == f"{len(gone)} rejected"
    page.keyboard.press("x")
    assert len(downloaded(page)[1].splitlines()) == len(gone) + 1
    assert page.said == []


def test_face_that_was_refused_is_asked_for_by_the_other_list(open_page, trouble, made_photos, tmp_path):
    options = {"input": made_photos, "output": tmp_path / "f.h5", "resolution": 32, "workers": 0, "restore": "off"}
    build(BuildConfig(**options, keep=3))
    page = opened(open_page, tmp_path, 3)
    page.click("#statuses >> text=kept")
    page.click("#statuses >> text=not among the best")
    page.wait_for_function("() => document.getElementById('count').textContent === '1 of 4 shown'")
    page.focus(".cell .open")
    page.keyboard.press("k")
    name, data = downloaded(page)
    page.click("#next")
    assert name == "f.h5.include.txt" and page.inner_text("#next-dialog code").endswith(f"--include {name}")
    (tmp_path / name).write_bytes(data)
    build(BuildConfig(**options, keep=3, include=tmp_path / name))
    with h5py.File(tmp_path / "f.h5") as file:
        asked = data.decode().strip().removesuffix("#0")
        assert asked in [source.decode() for source in file["faces/source"]] and len(file["faces/source"]) == 3


def test_options_of_the_command_to_run_next_stay_in_one_piece_and_numbers_are_sorted_by_score_first(
    open_page, trouble, made_photos, tmp_path
):
    build(BuildConfig(input=made_photos, output=tmp_path / "f.h5", resolution=32, workers=0, restore="off"))
    page = open_page((tmp_path / "report.html").as_uri(), viewport={"width": 390, "height": 844})
    page.wait_for_selector("body[data-ready]")
    sorts = page.evaluate("[...document.querySelectorAll('#sort option')].map((option) => option.value)")
    assert sorts[:2] == ["", "score"] and sorts.index("face_index") > sorts.index("height")
    page.click("#next")
    pieces = "(code) => [...code.querySelectorAll('.option')].map((e) => [e.textContent, e.getClientRects().length])"
    words = page.eval_on_selector("#next-dialog code", pieces)
    assert ["--resolution", 1] in words and all(count == 1 for _, count in words), words
    assert page.evaluate("(c => c.scrollWidth - c.clientWidth)(document.getElementById('next-dialog'))") <= 0
    shown = shlex.split(page.inner_text("#next-dialog code"))
    assert tyro.cli(BuildConfig, args=shown[1:]).input == made_photos


def test_curate_shows_the_build_that_takes_its_list_and_else_what_drops_rows(trouble, made_photos, dataset, tmp_path):
    output = tmp_path / "my f.h5"
    config = BuildConfig(input=made_photos, output=output, resolution=32, workers=0, restore="off", keep=3)
    build(config)
    with open_dataset(output) as built:
        shown = shlex.split(build_command(built, made_photos))
        parsed = tyro.cli(BuildConfig, args=shown[1:])
        assert shown[0] == "celebahq-build" and parsed.recipe() == config.recipe()
        assert (parsed.input, parsed.output) == (made_photos, output)
        assert "--max-invented" not in shown
        assert shlex.split(drop_command(built))[2:] == [str(output), "--output", str(tmp_path / "my f-chosen.h5")]
    with open_dataset(dataset) as foreign:
        assert build_command(foreign, made_photos) is None
