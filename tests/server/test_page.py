"""The page for browsers: whole, in two languages, and unable to load anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from ollama_proxy.server.page import render_page

both = pytest.mark.parametrize("korean", [True, False])
HANGUL = re.compile("[\uac00-\ud7a3]")


def page(*, korean: bool) -> tuple[dict[str, str], str]:
    headers, body = render_page(korean=korean)
    return {name.decode(): value.decode() for name, value in headers}, body.decode()


def code(text: str, kind: str) -> str:
    (found,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
    return str(found)


def words(text: str) -> dict[str, str]:
    found = re.search(r'<script type="application/json" id="words">(.*?)</script>', text)
    assert found
    told: dict[str, str] = json.loads(found[1])
    return told


@both
def test_nothing_is_left_to_fill_in(korean: bool) -> None:
    """Every word of the markup and of the script is there, in one language."""
    headers, text = page(korean=korean)
    assert "{{" not in text
    assert headers["content-language"] == ("ko" if korean else "en")
    assert bool(HANGUL.search(text)) is korean
    used = set(re.findall(r"\bwords\.([a-z_]+)", code(text, "script")))
    assert used <= words(text).keys()


def test_both_languages_say_the_same_things() -> None:
    """The same words under the same names, and the same marks in them."""
    english, hangul = (words(page(korean=korean)[1]) for korean in (False, True))
    assert english.keys() == hangul.keys()
    assert all(HANGUL.search(told) for told in hangul.values())
    assert all(english[name].count("#") == hangul[name].count("#") for name in english)


@both
def test_its_policy_allows_its_own_code_and_no_other(korean: bool) -> None:
    """Scripts and styles by their hashes, requests to this server, and nothing else."""
    headers, text = page(korean=korean)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(code(text, kind).encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in headers["content-security-policy"]


@both
def test_it_needs_nothing_from_elsewhere(korean: bool) -> None:
    """No address of another host, no handler in the markup, no style in it."""
    _, text = page(korean=korean)
    outside = re.sub(r"http://(127\.0\.0\.1:5005|www\.w3\.org/2000/svg)", "", text)
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", outside)
    assert not re.search(r"<[^>]+\s(on[a-z]+|style)=", text)
    assert "innerHTML" not in text


def test_the_address_is_told_to_nobody() -> None:
    """It may hold the token."""
    assert page(korean=False)[0]["referrer-policy"] == "no-referrer"
