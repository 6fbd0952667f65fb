"""A hook reaches the internet by https, and nothing that only this server can reach."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from django.conf import settings

from notices import targets
from notices.targets import NotAllowed, Target


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/",
        "https://10.1.2.3/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://x.localhost:8443/",
        "http://example.org/",
        "https://ann:secret@example.org/",
        "https://example.org/a b",
        "https://example.org/\r\nX-More: 1",
        "https://example.org:99999/",
        "https:///path",
        "ftp://example.org/",
        "example.org",
        "",
    ],
)
def test_such_an_address_is_refused(address: str) -> None:
    with pytest.raises(NotAllowed):
        targets.read(address)


def test_an_address_in_the_internet_is_taken() -> None:
    assert targets.read("https://example.org/hooks?room=7#top") == Target(
        True, "example.org", 443, "/hooks?room=7"
    )
    assert targets.read("https://example.org:8443").host_header == "example.org:8443"
    assert targets.read("https://[2606:4700::1]/").host_header == "[2606:4700::1]"


def test_a_name_is_judged_by_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Target(True, "localhost", 443, "/")  # what a name of somebody's own domain can resolve to as well
    with pytest.raises(NotAllowed, match="private network"):
        targets.resolve(here)
    monkeypatch.setattr(settings, "HOOK_NETWORKS", [ip_network("127.0.0.0/8"), ip_network("::1/128")])
    assert ip_address(targets.resolve(here)).is_loopback
    with pytest.raises(NotAllowed, match="has no address"):
        targets.resolve(Target(True, "no-such-host.invalid", 443, "/"))


def test_a_setting_opens_its_network_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "HOOK_NETWORKS", [ip_network("10.0.0.0/8")])
    assert targets.read("http://10.1.2.3/").port == 80
    for address in ("http://192.168.0.1/", "https://192.168.0.1/", "http://93.184.216.34/"):
        with pytest.raises(NotAllowed):
            targets.read(address)
