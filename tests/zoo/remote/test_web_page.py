"""A web page instead of a checkpoint is recognised, read, and followed only where it leads on to the file."""

import pytest

from zoo.remote.web_page import is_web_page, read_page

DRIVE = "https://drive.google.com/uc?export=download&id=abc"
FORM = (
    '<form id="download-form" action="{action}" method="get"><input type="hidden" name="id" value="abc">'
    '<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">'
    '<input type="hidden" name="uuid" value="1-2"></form>'
)


@pytest.mark.parametrize(
    ("start", "content_type", "page"),
    [
        (b"<!DOCTYPE html><html>", "", True),
        (b"\xef\xbb\xbf\n <html>", "application/octet-stream", True),
        (b"Quota <b>exceeded</b>", "text/html; charset=utf-8", True),
        (b"PK\x03\x04", "text/html", False),  # hosts that call everything HTML
        (b"\x80\x02", "application/octet-stream", False),
        (b"(dp1\n", "text/plain", False),
    ],
)
def test_what_is_a_page(start, content_type, page):
    assert is_web_page(start, content_type) is page


def test_drive_s_question_is_answered_within_google():
    page = read_page(FORM.format(action="https://drive.usercontent.google.com/download"), DRIVE)
    assert page.leads_to == "https://drive.usercontent.google.com/download?id=abc&export=download&confirm=t&uuid=1-2"


def test_drive_s_older_link_is_followed():
    page = read_page('<a href="/uc?export=download&amp;confirm=XyZ&amp;id=abc">Download anyway</a>', DRIVE)
    assert page.leads_to == "https://drive.google.com/uc?export=download&confirm=XyZ&id=abc"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/download", "https://drive.google.com.evil.example/download"]
)
def test_a_question_that_leads_elsewhere_is_not_answered(elsewhere):
    assert read_page(FORM.format(action=elsewhere), DRIVE).leads_to is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<title>Google Drive - Quota exceeded</title>", "the quota of downloads of this file is used up"),
        ("<p>Sorry, you can&#39;t view or download this file at this time.</p>", "quota"),
        ("<title>Sign in to your account</title>", "a web page that wants you to sign in ('Sign in to your account')"),
        ("<title>Not\n found</title>", "a web page ('Not found'), not a checkpoint"),
        ("<html>", "a web page, not a checkpoint"),
    ],
)
def test_what_a_page_says(text, said):
    page = read_page(text, DRIVE)
    assert said in page.message and page.leads_to is None
