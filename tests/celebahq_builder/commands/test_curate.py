"""celebahq-data curate: the page served to this machine alone, decisions saved at once, nothing else given away."""

import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import DatasetWriter, open_dataset

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import finish  # noqa: E402


def ask(server, path="", method="GET", body=None, token=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=600)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/{server.desk.token if token is None else token}/{path}", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def post(server, decisions, version=0, **headers):
    origin = f"http://127.0.0.1:{server.server_port}"
    headers = {"Origin": origin, "Content_Type": "application/json"} | headers
    body = json.dumps({"version": version, "decisions": decisions})
    status, data, _ = ask(server, "decisions", "POST", body, **headers)
    return status, data


REJECT = {"day 0/p.jpg#0": {"decision": "reject", "mark": False}}


def test_rejects_of_the_page_are_saved_and_there_again_after_a_restart(open_page, serve, dataset):
    server = serve(dataset)
    page = open_page(server.address)
    page.wait_for_function("() => document.getElementById('count').textContent === '12 of 12 shown'")
    page.focus(".cell .open")
    for key in ("x", "ArrowRight", "ArrowRight", "x", "m"):
        page.keyboard.press(key)
    page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('Saved in')")
    saved, listed = dataset.with_name("scored.h5.decisions.json"), dataset.with_name("scored.h5.exclude.txt")
    assert listed.read_text() == "day 0/p.jpg#0\nday 1/p.jpg#0\n"
    assert json.loads(saved.read_bytes())["decisions"]["day 1/p.jpg#0"] == {"decision": "reject", "mark": True}
    assert page.said == [] and all(url.startswith((server.address, "data:")) for url in page.asked)

    page = open_page(serve(dataset).address)
    assert page.inner_text("#decided-count") == "2 rejected · 1 marked"
    page.focus(".cell .open")
    page.keyboard.press("x")
    page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('Saved in')")
    assert listed.read_text() == "day 1/p.jpg#0\n"


def test_page_does_not_say_saved_while_a_later_decision_is_not(open_page, serve, dataset):
    server = serve(dataset)
    decide, come, go = server.desk.decide, threading.Semaphore(0), threading.Semaphore(0)

    def slowly(body):
        come.release()
        assert go.acquire(timeout=600)
        return decide(body)

    server.desk.decide = slowly
    page = open_page(server.address)
    page.focus(".cell .open")
    page.keyboard.press("x")
    page.wait_for_timeout(200)
    assert come.acquire(timeout=600), "the first decision is on its way"
    for key in ("ArrowRight", "x"):
        page.keyboard.press(key)
    go.release()
    while not come.acquire(blocking=False):  # the second is: the page has heard of the first
        page.wait_for_timeout(20)
    assert page.inner_text("#saved") == "Saving …"
    go.release()
    page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('Saved in')")
    assert dataset.with_name("scored.h5.exclude.txt").read_text() == "day 0/p.jpg#0\nday 0/p.jpg#1\n"


def test_command_that_the_page_shows_makes_a_file_without_the_rejects(open_page, serve, dataset, run):
    page = open_page(serve(dataset).address)
    page.click('.cell[aria-posinset="3"] .cross', force=True)
    page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('Saved in')")
    page.click("#next")
    command = shlex.split(page.inner_text("#next-dialog code"))
    assert command[:2] == ["celebahq-data", "drop"] and run(*command[1:]) == 0
    with open_dataset(dataset) as before, open_dataset(dataset.with_name("scored-chosen.h5")) as after:
        for r in before.resolutions:
            np.testing.assert_array_equal(np.delete(before.read(r, np.arange(12)), 2, 0), after.read(r, np.arange(11)))


def test_photo_that_is_not_in_the_file_is_asked_for_by_a_list_of_its_own(serve, made_photos, trouble, tmp_path):
    output = tmp_path / "f.h5"
    build(BuildConfig(input=made_photos, output=output, resolution=32, workers=0, restore="off", keep=3))
    with open_dataset(output) as dataset:
        kept = [f"{source}#0" for source in dataset.faces["source"]]
    (beaten,) = {f"{name}.jpg#0" for name in "abcd"} - set(kept)
    server = serve(output)
    keep = {"decision": "keep", "mark": False}
    assert post(server, {kept[0]: {"decision": "reject"}, kept[1]: keep, beaten: keep, "gone.jpg#0": keep})[0] == 200
    assert (tmp_path / "f.h5.exclude.txt").read_text() == f"{kept[0]}\n"
    assert (tmp_path / "f.h5.include.txt").read_text() == f"{beaten}\n"
    # After the rebuild it is in the file because it was asked for, and stays in the list.
    config = BuildConfig(input=made_photos, output=output, resolution=32, workers=0, restore="off", keep=3)
    build(replace(config, include=tmp_path / "f.h5.include.txt"))
    server = serve(output)
    assert post(server, {kept[1]: keep, beaten: keep}, version=1)[0] == 200
    assert (tmp_path / "f.h5.include.txt").read_text() == f"{beaten}\n"
    assert post(server, {}, version=2)[0] == 200
    assert (tmp_path / "f.h5.exclude.txt").read_text() == (tmp_path / "f.h5.include.txt").read_text() == ""


def test_persons_are_told_apart_where_that_is_asked_for(open_page, serve, dataset, monkeypatch):
    from celebahq_builder.commands import identities
    from celebahq_builder.commands.curate import tell_persons

    places = iter(np.repeat([[0.0], [1.0], [2.0], [3.0]], [1, 2, 8, 1], axis=0))
    monkeypatch.setattr(identities, "descriptor", lambda face: next(places))
    with open_dataset(dataset) as opened:
        persons = tell_persons(opened)
    assert persons == [0] + [1] * 2 + [2] * 8 + [3]
    page = open_page(serve(dataset, persons=persons).address)
    page.select_option("#group", "identity")
    page.wait_for_selector(".heading")
    headings = [heading.inner_text().split("\n")[0] for heading in page.query_selector_all(".heading")]
    assert headings == ["person 2", "person 1", "person 0", "person 3"]


def test_window_that_has_not_seen_the_latest_decisions_does_not_overwrite_them(open_page, serve, dataset):
    server = serve(dataset)
    pages = [open_page(server.address), open_page(server.address)]
    for page, told in zip(pages, ("Saved in", "Not saved: another window"), strict=True):
        page.focus(".cell .open")
        page.keyboard.press("x")
        page.wait_for_function(f"() => document.getElementById('saved').textContent.startsWith('{told}')")
    assert dataset.with_name("scored.h5.exclude.txt").read_text() == "day 0/p.jpg#0\n"


def test_end_of_the_server_is_told_in_the_page(open_page, serve, dataset):
    server = serve(dataset)
    page = open_page(server.address)
    page.route("**/decisions", lambda route: route.abort())
    page.focus(".cell .open")
    page.keyboard.press("x")
    page.wait_for_function("() => document.getElementById('saved').textContent.includes('curate has ended')")


def test_nobody_without_the_token_or_from_another_page_is_answered(serve, dataset):
    server = serve(dataset)
    assert ask(server)[0] == 200
    assert ask(server, token="")[0] == 404
    assert ask(server, token=server.desk.token[:-1])[0] == 404
    assert ask(server, Host="evil.example:80")[0] == 403
    assert ask(server, Host=f"evil.example:{server.server_port}")[0] == 403  # a name made to mean 127.0.0.1
    assert ask(server, Sec_Fetch_Site="cross-site")[0] == 403
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Content_Type": "text/plain"}):
        assert post(server, REJECT, **headers)[0] == 403
    assert not dataset.with_name("scored.h5.exclude.txt").exists()
    assert post(server, REJECT)[0] == 200
    with socket.socket() as other:  # this machine alone
        assert server.server_address[0] == "127.0.0.1" and other is not None


def test_decisions_that_are_none_change_nothing(serve, dataset):
    server = serve(dataset)
    for wrong in ([], {"a#0": {"decision": "burn"}}, {"a#0": 3}):
        assert post(server, wrong)[0] == 400
    assert post(server, {}, version=7)[0] == 409
    assert ask(server, "decisions", "POST", "[" * 100_000, Origin=f"http://127.0.0.1:{server.server_port}",
               Content_Type="application/json")[0] == 400  # fmt: skip
    assert not dataset.with_name("scored.h5.decisions.json").exists()


def test_photographs_that_rows_name_are_shown_and_no_other_file(serve, tmp_path):
    photos, path = tmp_path / "photos", tmp_path / "f.h5"
    photos.mkdir()
    Image.new("RGB", (8, 8), "red").save(photos / "a photo.jpg")
    Image.new("RGB", (8, 8), "red").save(photos / "other.jpg")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "secret.jpg")
    (photos / "text.jpg").write_text("<script>alert(1)</script>")
    (photos / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    os.mkfifo(photos / "pipe.jpg")
    names = [
        "a photo.jpg",
        "../secret.jpg",
        "text.jpg",
        "link.jpg",
        "pipe.jpg",
        str(tmp_path / "secret.jpg"),
        "gone.jpg",
    ]
    write_named(path, names)
    server = serve(path, photos)
    status, data, headers = ask(server, "photos/a%20photo.jpg")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg") and data == (photos / "a photo.jpg").read_bytes()
    for name in ("other.jpg", "../secret.jpg", "%2e%2e/secret.jpg", "text.jpg", "link.jpg", "pipe.jpg",
                 str(tmp_path / "secret.jpg"), "gone.jpg", "a%00.jpg", "../f.h5"):  # fmt: skip
        assert ask(server, f"photos/{name}")[0] == 404, name
    assert ask(serve(path), "photos/a%20photo.jpg")[0] == 404  # without --photos, none


def write_named(path, names):
    import dataclasses

    from celebahq_builder.hdf5 import FaceRecord

    face = FaceRecord(source="", source_sha256="0" * 64, pixel_sha256="1" * 64)
    with DatasetWriter(path, 4, len(names)) as writer:
        for name in names:
            writer.write({r: np.zeros((3, r, r), np.uint8) for r in (4, 2, 1)}, dataclasses.replace(face, source=name))


def test_gray_file_of_another_program_without_any_names_is_shown(open_page, serve, tmp_path):
    path = tmp_path / "gray.h5"
    with DatasetWriter(path, 8, 3, channels=1) as writer:
        for i in range(3):
            writer.write({r: np.full((1, r, r), 80 * i, np.uint8) for r in (8, 4, 2, 1)})
    server = serve(path)
    page = open_page(server.address)
    page.wait_for_function("() => document.querySelector('.cell canvas').width === 8")
    page.click(".cell .open")
    page.wait_for_function("() => document.querySelector('.stack img').naturalWidth === 8")
    assert page.said == []
    for wrong in ("faces/3.webp", "faces/-1.webp", "sheets/1.webp", "faces/99999999999999999999.webp", "faces/x.webp"):
        assert ask(server, wrong)[0] == 404, wrong


def test_columns_of_another_program_under_our_names_do_no_harm(open_page, serve, tmp_path, logged):
    path = tmp_path / "f.h5"
    write_named(path, ["a.jpg", "b.jpg"])
    with h5py.File(path, "a") as file:
        for name in ("status", "row", "reason", "detail", "duplicate_of", "labels", "constructor"):
            file[f"faces/{name}"] = [7.5, float("nan")]
        file["faces/width"] = ["wide", "narrow"]
        file["faces/marks"] = ["<i>x", "of another program"]
        file["faces/descriptor"] = np.zeros((2, 128))
        file["faces/<b>bold"] = ["x", "y"]
        file["rows/source"] = ["of another program"] * 5
    page = open_page(serve(path).address)
    page.wait_for_function("() => document.getElementById('count').textContent === '2 of 2 shown'")
    page.click(".cell .open")
    assert "<b>bold" in page.inner_text("#details table")
    assert "shown are the faces of the file alone" in logged[-1].getMessage()
    assert page.said == []


def test_file_that_holds_other_things_than_decisions_is_one_line(refusal, capsys, dataset):
    dataset.with_name("scored.h5.decisions.json").write_text('{"decisions": 3}')
    message = refusal(capsys, "curate", dataset)
    assert "scored.h5.decisions.json: got something else, expected what celebahq-data curate saves" in message


def test_list_of_rejects_alone_is_where_it_begins(serve, dataset):
    dataset.with_name("scored.h5.exclude.txt").write_text("day 0/p.jpg#0\nday 5/p.jpg#1\n")
    assert serve(dataset).desk.rejected == 2


def test_port_that_is_taken_and_photos_that_are_no_folder_are_one_line(refusal, capsys, dataset, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refusal(capsys, "curate", dataset, "--port", port).startswith(f"--port: got {port} (")
    assert refusal(capsys, "curate", dataset, "--photos", tmp_path / "none").startswith("--photos: got ")


def test_ctrl_c_ends_it_in_one_line(dataset):
    command = [sys.executable, "-m", "celebahq_builder.dataset", "curate", str(dataset)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, and by children, where tests run behind
    try:
        process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment)
    finally:
        signal.signal(signal.SIGINT, heard)
    with process:
        try:
            lines = [process.stdout.readline() for _ in range(2)]
            assert process.poll() is None, (lines, process.stderr.read())
            assert "12 faces" in lines[0] and lines[1].startswith("http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            output, error = finish(process)
        finally:
            process.kill()
    assert (process.returncode, output, error) == (0, "ended: 0 rejected\n", "")
