"""What each request has to pass, and the headers that each answer carries."""

from __future__ import annotations

import pytest

from logd.web.guard import CONTENT_SECURITY_POLICY, host_of
from tests.web.serving import Page


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("127.0.0.1:9803", "127.0.0.1"),
        ("[::1]:9803", "::1"),
        ("LocalHost", "localhost"),
        ("logs.example.org.evil.example:80", "logs.example.org.evil.example"),
        ("user@127.0.0.1", None),
        ("127.0.0.1/x", None),
        ("127.0.0.1:99999", None),
        ("", None),
    ],
)
def test_the_name_in_a_host_header(header: str, host: str | None) -> None:
    """The name is what stands before the port; anything odd is no name."""
    assert host_of(header) == host


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:9803"])
def test_another_host_is_refused(page: Page, host: str) -> None:
    """A page elsewhere whose name points here gets nothing, not even the page."""
    for path in ("/", "/api/1/about", "/session"):
        assert page.get(path, headers={"host": host}).status == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_get_no_data(page: Page, site: str) -> None:
    """What the browser says was asked by another site is refused."""
    assert page.get("/api/1/about", headers={"sec-fetch-site": site}).status == 403
    refused = page.ask("POST", "/session", {"token": "x"}, headers={"sec-fetch-site": site})
    assert refused.status == 403


def test_changes_have_to_come_from_the_page(page: Page) -> None:
    """A change with another origin, or not as JSON, is refused."""
    origin = {"origin": "http://evil.example"}
    assert page.ask("PUT", "/api/1/views/a", {"search": ""}, headers=origin).status == 403
    plain = {"content-type": "text/plain"}
    assert page.ask("PUT", "/api/1/views/a", {"search": ""}, headers=plain).status == 415


def test_every_answer_has_the_headers(page: Page) -> None:
    """The page, its files, data and errors forbid whatever the page does not need."""
    for path in ("/", f"/static/{page.digest}/main.js", "/api/1/about", "/nowhere"):
        headers = page.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert "'unsafe" not in CONTENT_SECURITY_POLICY
    assert page.get("/api/1/about").headers["cache-control"] == "no-store"


def test_a_long_address_is_refused(page: Page) -> None:
    """An address of 20,000 characters costs nothing."""
    assert page.get(f"/api/1/view?q={'a' * 20_000}").status == 414
