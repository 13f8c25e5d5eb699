"""The photographs of restoration: those that are held out, faces drawn more often, weights to start from."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from train.restoration.checkpoint import load_weights, save_weights
from train.restoration.config import RestorationConfig
from train.restoration.faces import around_face, read_faces
from train.restoration.loop import open_photos, train
from train.restoration.photos import PhotoStore, held_out_names, middle
from train.restoration.protocol import ensembled, restorer, superres_psnr
from train.restoration.publish import PublishConfig, _training
from train.restoration.validate import ValidateConfig, validate_weights
from zoo.restoration.networks import build
from zoo.restoration.weights import save_restoration


@pytest.fixture
def folder(tmp_path):
    """Four photographs, each of one gray level, 40 times its number."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    for i, name in enumerate(("a", "b", "sub/c", "sub/d")):
        Image.new("RGB", (400, 330), (40 * i,) * 3).save(root / f"{name}.png")
    return root


def config_for(folder, tmp_path, **changes) -> RestorationConfig:
    base = RestorationConfig(
        photos=folder, net="artifacts", size="fast", outdir=tmp_path / "runs", steps=1, batch=2, patch=32, device="cpu"
    )
    return dataclasses.replace(base, **changes)


def levels(store: PhotoStore) -> list[int]:
    return [int(store[i][0, 0, 0]) for i in range(len(store))]


def listed(tmp_path, *lines: str):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_listed_photos_are_validated_on_and_never_drawn(folder, tmp_path):
    config = config_for(folder, tmp_path, held_out=listed(tmp_path, "sub/c.png", "a.png"))
    store, held_out = open_photos(config)
    assert [int(photo[0, 0, 0]) for photo in held_out["held-out"]] == [80, 0]
    assert levels(PhotoStore(store)) == [40, 120]
    assert {photo.shape for photo in held_out["held-out"]} == {(320, 320, 3)}


def test_without_a_list_every_25th_is_held_out(folder, tmp_path):
    store, held_out = open_photos(config_for(folder, tmp_path))
    assert len(held_out["held-out"]) == 1 and levels(PhotoStore(store)) == [40, 80, 120]
    assert held_out_names(None, [str(i) for i in range(523)]) == [str(i) for i in range(0, 523, 25)]


def test_names_in_a_zip_are_listed_without_its_folder(tmp_path):
    assert held_out_names(listed(tmp_path, "b.png"), ["photos/a.png", "photos/b.png"]) == ["photos/b.png"]


def test_the_list_of_the_benchmarks_is_twenty_photos_none_twice(real_data):
    names = (Path(__file__).resolve().parents[2] / "benchmarks" / "restoration_held_out.txt").read_text().split()
    assert len(names) == len(set(names)) == 20
    assert all((real_data / "photos" / name).is_file() for name in names)


@pytest.mark.parametrize(("lines", "found"), [(("a.png", "z.png"), "'z.png'"), (("",), "an empty list")])
def test_a_list_that_names_no_photo_is_refused(folder, tmp_path, lines, found):
    with pytest.raises(ValueError, match=rf"--held-out: got {found} in .*list.txt, expected photos of --photos"):
        open_photos(config_for(folder, tmp_path, held_out=listed(tmp_path, *lines)))


def test_two_ways_to_validate_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--held-out: got list.txt and --testsets sets, expected one of them"):
        config_for(tmp_path, tmp_path, held_out="list.txt", testsets="sets")


def test_the_middle_is_the_middle():
    photo = np.arange(9 * 7 * 3, dtype=np.uint8).reshape(9, 7, 3)
    np.testing.assert_array_equal(middle(photo, 5), photo[2:7, 1:6])
    np.testing.assert_array_equal(middle(photo, 8), photo[:8])


# Faces.


def faces_file(tmp_path, *rows: str):
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(["photo,x,y,width,height", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((300, 280, 100, 100), (202, 458), (222, 478)),  # at least 256 pixels around
        ((300, 280, 200, 200), (180, 580), (200, 600)),  # twice the box
        ((0, 570, 40, 40), (344, 600), (0, 256)),  # moved inside
        ((-20, 10, 900, 900), (0, 600), (0, 700)),  # no more than there is
    ],
)
def test_around_a_face_lies_a_square_of_the_photo(box, rows, columns):
    found = around_face(box, 600, 700)
    assert [(span.start, span.stop) for span in found] == [rows, columns]


def test_the_share_of_draws_around_faces_is_the_one_asked_for(folder, tmp_path):
    faces = read_faces(faces_file(tmp_path, "sub/d.png,10,20,40,40", "b.png,0,0,9,9", "absent.png,1,1,8,8"))
    assert faces["sub/d.png"] == [(10, 20, 40, 40)]
    config = config_for(
        folder, tmp_path, held_out=listed(tmp_path, "b.png"), faces=tmp_path / "faces.csv", faces_share=0.4
    )
    store, rng = PhotoStore(open_photos(config)[0]), np.random.default_rng(0)
    drawn = [store.draw(rng) for _ in range(2000)]
    around = [photo for photo in drawn if photo.shape == (256, 256, 3)]
    assert len(around) / len(drawn) == pytest.approx(0.4, abs=0.04)
    assert {int(photo[0, 0, 0]) for photo in around} == {120}  # b.png is held out, and with it its face
    assert {int(photo[0, 0, 0]) for photo in drawn} == {0, 80, 120}


def test_without_faces_the_draws_are_those_that_they_always_were(folder, tmp_path):
    config = config_for(
        folder, tmp_path, faces=faces_file(tmp_path, "b.png,0,0,9,9"), held_out=listed(tmp_path, "a.png")
    )
    open_photos(config)
    store = PhotoStore(open_photos(dataclasses.replace(config, faces=None))[0])  # the faces of the last run are gone
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(20):
        assert int(store.draw(rng)[0, 0, 0]) == (40, 80, 120)[int(same.random() * 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,x,y,width\n", "without column 'height'"),
        ("photo,x,y,width,height\na.png,1,2,3,wide\n", "line 2 of .*, expected four whole numbers"),
        ("photo,x,y,width,height\na.png,1,2,3\n", "line 2 of .*, expected four whole numbers"),
        ("photo,x,y,width,height\na.png,1,2,0,5\n", "a box of 0x5 in line 2 of .*, expected at least 1x1"),
    ],
)
def test_a_damaged_list_of_faces_is_refused(tmp_path, text, message):
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(ValueError, match=f"--faces: got .*{message}"):
        read_faces(tmp_path / "faces.csv")


def test_a_list_of_other_photos_faces_is_refused(folder, tmp_path):
    config = config_for(folder, tmp_path, faces=faces_file(tmp_path, "other.png,1,2,3,4"))
    with pytest.raises(ValueError, match="--faces: got no face of the photos"):
        open_photos(config)
    with pytest.raises(ValueError, match=r"--faces-share: got 1.5, expected a share from 0 to 1"):
        config_for(folder, tmp_path, faces_share=1.5)


# Weights to start from, and to compare.


def test_training_goes_on_from_a_model_folder_and_the_card_says_from_what(folder, tmp_path):
    torch.manual_seed(1)
    start = build("artifacts", "fast")
    save_restoration(start, tmp_path / "artifacts-fast", training={"steps": 7, "seconds": 8.5})
    config = config_for(folder, tmp_path, init=tmp_path / "artifacts-fast", learning_rate=1e-9, ema=0.0)
    train(config)
    run = tmp_path / "runs" / "artifacts-fast"
    end = load_weights(run / "artifacts-fast.safetensors")
    for key, value in start.state_dict().items():
        assert torch.allclose(end.state_dict()[key], value, atol=1e-3), key
    publishing = PublishConfig(weights=run, testsets=folder)
    assert _training(run, publishing)["started_from"] == {"weights": "artifacts-fast", "steps": 7, "seconds": 8.5}
    # Another share of faces is another run; one of before there were any goes on.
    with pytest.raises(ValueError, match=r"--faces-share: got 0.5, expected 0.3 as of"):
        train(dataclasses.replace(config, faces_share=0.5))
    settings = json.loads((run / "config.json").read_text())
    del settings["faces_share"]
    (run / "config.json").write_text(json.dumps(settings))
    train(config)


def test_validation_compares_weights_by_what_they_make_of_the_held_out_photos(real_data, tmp_path):
    for source in sorted((real_data / "photos" / "t91").glob("*.png"))[:2]:
        (tmp_path / source.name).symlink_to(source)
    for net, name in (("artifacts", "artifacts-fast"), ("superres", "superres-fast-gan")):
        network = build(net, "fast")
        torch.nn.init.zeros_(network.tail.weight)  # the photo as it is, or each of its pixels 4x4 times
        save_weights(tmp_path / f"{name}.safetensors", network, net, "fast")
    paths = tuple(sorted(tmp_path.glob("*.safetensors")))
    config = ValidateConfig(weights=paths, photos=tmp_path, held_out=listed(tmp_path, "t10.png"))
    metrics = validate_weights(config)
    artifacts, superres = (metrics[str(path)] for path in paths)
    assert artifacts["held-out Q10"] < artifacts["held-out Q20"] < artifacts["held-out Q40"]
    assert 15 < superres["held-out"] < 35 and superres["texture"] > 0


def test_validation_with_self_ensemble_is_of_the_mean_of_eight(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    network = build("superres", "fast")
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    path = tmp_path / "superres-fast-psnr.safetensors"
    save_weights(path, network, "superres", "fast")
    config = ValidateConfig(weights=(path,), photos=tmp_path)
    alone, together = (
        validate_weights(dataclasses.replace(config, self_ensemble=x8))[str(path)]["held-out"] for x8 in (False, True)
    )
    restore = restorer(load_weights(path))  # rounded to half precision
    assert alone == superres_psnr(restore, [pixels])
    assert together == superres_psnr(ensembled(restore), [pixels]) > alone
