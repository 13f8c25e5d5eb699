"""zoo verify --online: an address is good when it gives a file of the right size, whatever its status says."""

import pytest

from zoo.__main__ import main as run
from zoo.catalog import Source
from zoo.commands.online import check_addresses

SIZE = 4000


def main(arguments: list[str]) -> int:
    """The exit code of python -m zoo."""
    with pytest.raises(SystemExit) as end:
        run(arguments)
    return end.value.code or 0


@pytest.fixture
def ask(faulty_server, entry_of):
    """A function: the server's path, and what is known of the file -> (good, what was said)."""
    faulty_server.content = b"\x80\x02" + bytes(SIZE - 2)

    def asked(path, **known):
        source = Source(file="x", layout="ours", **{"url": f"{faulty_server.url}/{path}"} | known)
        (answer,) = check_addresses([entry_of(source)], timeout=60)
        return answer.good, answer.text

    return asked


@pytest.mark.parametrize(
    ("path", "known", "wanted"),
    [
        ("good", {}, (True, "a file of 0.0 MB")),
        ("good", {"size": SIZE}, (True, "a file of 0.0 MB")),
        ("good", {"size": 5000}, (False, "a file of 4,000 bytes, expected 5,000")),
        ("redirects", {}, (True, "a file of 0.0 MB")),
        ("confirm", {}, (True, "asks for a confirmation")),
        ("none", {}, (False, "404 Not Found")),
        ("page", {}, (False, "a web page ('We have moved'), not a checkpoint")),
    ],
)
def test_verdict_and_reason(ask, path, known, wanted):
    assert ask(path, **known) == wanted


def test_used_up_quota_is_no_answer_although_its_status_is_200(ask):
    good, text = ask("quota")
    assert not good and "quota" in text


def test_a_page_for_a_person_only_has_to_be_there(ask, faulty_server):
    assert ask("", url=None, manual=f"{faulty_server.url}/page") == (True, "a page, for a person")


def test_a_host_that_is_gone_is_said(ask):
    good, text = ask("", url="http://127.0.0.1:1/x")
    assert not good and "refused" in text


@pytest.mark.parametrize(
    ("path", "known", "verdict"),
    [
        ("good", {}, "ok"),
        ("none", {}, "WRONG"),
        ("good", {"size": 5000}, "WRONG"),
        ("", {"url": "http://127.0.0.1:1/x"}, "unreachable"),
        ("", {"url": "http://nowhere.invalid/x"}, "unreachable"),
        ("busy", {}, "unreachable"),
    ],
)
def test_an_address_that_nobody_answers_at_is_unreachable_and_not_wrong(
    faulty_server, entry_of, monkeypatch, capsys, path, known, verdict
):
    faulty_server.content = b"\x80\x02" + bytes(SIZE - 2)
    source = Source(file="x", layout="ours", **{"url": f"{faulty_server.url}/{path}"} | known)
    (answer,) = check_addresses([entry_of(source)], timeout=60)
    assert answer.verdict == verdict
    monkeypatch.setattr("zoo.commands.online.check_addresses", lambda entries: iter([answer]))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert main(["verify", "--online"]) == (0 if verdict == "ok" else 1)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{verdict} ")
    assert ("1 could not be reached" in printed) is (verdict == "unreachable")


def test_no_file_is_downloaded_and_no_address_asked_twice(faulty_server, entry_of):
    faulty_server.content = b"\x80\x02" + bytes(10_000_000)
    source = Source(file="x", layout="ours", url=f"{faulty_server.url}/good")
    answers = list(check_addresses([entry_of(source, source)], timeout=60))
    assert [answer.good for answer in answers] == [True, True]
    assert faulty_server.requests == [("GET", "/good", "bytes=0-1023")]
