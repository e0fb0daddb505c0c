"""The table of peers can be filled and started from; nothing in it needs a running proxy to be wrong."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from types import SimpleNamespace
from typing import cast

import pytest

from bench.machine import Cores
from bench.peers import PEERS, Peer
from bench.provider import Provider
from bench.proxy import Proxy

PROVIDER = cast("Provider", SimpleNamespace(url="http://127.0.0.1:4711", port=4711, authority=None))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_template_word_is_known(peer: Peer, tmp_path: Path) -> None:
    """Commands, files, environment and headers use only words that a run can fill in."""
    proxy = Proxy(peer, PROVIDER, Cores(None, None), tmp_path)
    for text in (peer.command, *peer.files.values(), *peer.env.values(), *peer.headers.values()):
        assert "$" not in proxy._fill(text)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_is_pointed_at_the_fake_provider_only(peer: Peer) -> None:
    """No entry names an address other than the fake provider's and the loopback."""
    texts = (peer.command, *peer.files.values(), *peer.env.values(), *peer.headers.values())
    assert not [found for text in texts for found in re.findall(r"https?://(?!provider|127\.)[\w.-]+", text)]
    used = {match["named"] for text in texts for match in Template.pattern.finditer(text)}
    assert used & {"UP", "UPHOST"}


def test_every_name_is_given_once() -> None:
    """--only names one proxy each."""
    assert len({peer.name for peer in PEERS}) == len(PEERS)
