"""The card of somebody else's model: what its config.json and metrics.json say stays text, whatever is in it."""

import dataclasses
import re

import pytest
from huggingface_hub import ModelCard

from celebahq.markdown import code, code_block, link, prose
from export.hub.card import CardFacts, model_card
from export.hub.card_fields import known_fields, known_metrics
from export.hub.license import License

EVIL = "</td><script>alert(1)</script> <img src=x onerror=y> [a](javascript:z) `b` | **c**\n# d\x1b[2J\u202e"


@pytest.fixture
def facts():
    return CardFacts(
        repo="me/progan",
        page="https://huggingface.co/me/progan",
        config={
            "architecture": {"resolution": 32, "latent_size": 64, "label_size": 0},
            "training": dict.fromkeys(("preset", "device", "precision", "command"), EVIL) | {"kimg": 3, "seed": 1},
            "dataset": {"file": EVIL, "faces": 3, "sha256_4x4": EVIL},
            "imported": {"file": EVIL, "layout": EVIL, "file_sha256": EVIL, "notes": [EVIL, 3]},
            "source": EVIL,
            "citation": f"# {EVIL}",
        },
        license=License(EVIL, EVIL, link="javascript:alert(1)"),
        metrics=[
            {
                "metric": EVIL,
                "values": {EVIL: 1.5, "bad": "x"},
                "noise_floor": {EVIL: 1.0},
                "noise_floor_of": EVIL,
                "num_images": 3,
                "command": f"{EVIL}\n```\n<b>",
                "features": EVIL,
                "device": EVIL,
                "dataset": {"file": EVIL},
            }
        ],
        dataset_id=EVIL,
        faces=True,
        parameters=1,
        samples=("0-31", 8),
    )


def without_code(card: str) -> str:
    """The card without code blocks and spans: what is left is what a reader's program takes for markup."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    body = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", body)


def test_nothing_of_a_foreign_file_becomes_markup(facts):
    card = model_card(facts)
    assert all(c.isprintable() or c == "\n" for c in card)
    text = without_code(card)
    ours = without_code(
        model_card(dataclasses.replace(facts, config=plain_config(), metrics=[], license=License("mit")))
    )
    for mark in ("<script", "<img src=x", "</td", "javascript:alert(1))", "<b>"):
        assert mark not in text
    assert re.findall(r"<\w+", text) == re.findall(r"<\w+", ours)  # our own image and address
    assert re.findall(r"(?<!\\)\[[^\]]*(?<!\\)\]\(([^)]*)\)", text) == ["https://arxiv.org/abs/1710.10196"]
    assert not re.search(r"(?<!\\)\*\*c", text) and "\n# d" not in text
    headings = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert [h for h in headings if "script" in h] == [f"### {prose(EVIL)}"]
    for line in text.splitlines():
        if line.startswith("| ") and "alert" in line:
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4)
    assert ModelCard(card).data.library_name == "celebahq"


def plain_config():
    return {"architecture": {"resolution": 32, "latent_size": 64, "label_size": 0}}


def test_what_is_of_another_kind_than_ours_is_left_out(facts):
    config = {
        "architecture": {},
        "training": {"kimg": "many", "seconds": float("nan"), "seed": True, "mirror": 1, "preset": ["x"]},
        "dataset": ["x"],
        "imported": "x",
        "citation": 3,
        "source": {},
    }
    assert known_fields(config) == {"architecture": {}}
    metrics = [{"metric": "swd", "values": {"a": "x"}, "num_images": 3}, {"metric": "swd", "values": {"a": 1}}]
    assert known_metrics(metrics) == []
    strange = {**config, "architecture": facts.config["architecture"]}
    card = model_card(dataclasses.replace(facts, config=strange, metrics=metrics))
    assert "Nothing was measured" in card and "many" not in card


def test_code_cannot_be_left(facts):
    assert code("a``b`") == "``` a``b` ```"
    assert code("a|b", in_table=True) == r"`a\|b`"
    assert code_block("x\n```\n# y").startswith("````bash\n") and code_block("x\n```").endswith("\n````")
    assert link("text", "https://a.org/x") == "[text](https://a.org/x)"
    for address in ("javascript:x", "https://a.org/)<b>", "https://", "//a"):
        assert not link("text", address).startswith("[text](")
    assert prose("1. a") == r"1\. a" and prose("- a") == r"\- a" and prose("a-b 1.5") == "a-b 1.5"
