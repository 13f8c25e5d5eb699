"""Where a download may lead: what an encrypted address gives does not come over an open connection."""

import httpx2
import pytest

from zoo.remote.fetch import FetchError, fetch


def answer(request: httpx2.Request) -> httpx2.Response:
    """Two mirrors that redirect; the file itself is anywhere else."""
    leads = {"safe.invalid": "https://files.invalid/x", "open.invalid": "http://files.invalid/x"}
    if request.url.host in leads:
        return httpx2.Response(302, headers={"Location": leads[request.url.host]})
    return httpx2.Response(200, content=b"weights")


@pytest.mark.parametrize(
    ("address", "arrives"),
    [("https://safe.invalid/x", True), ("http://open.invalid/x", True), ("https://open.invalid/x", False)],
)
def test_no_redirect_leads_from_an_encrypted_to_an_open_connection(tmp_path, address, arrives):
    partial = tmp_path / "x.part"
    with httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True) as client:
        if arrives:
            fetch(client, address, partial, lambda have, total: None)
            assert partial.read_bytes() == b"weights"
        else:
            with pytest.raises(FetchError, match="is redirected from https to http"):
                fetch(client, address, partial, lambda have, total: None)
            assert not partial.exists()
