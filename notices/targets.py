"""Where hooks may lead. A hook makes this server send a request, so it must not reach what only this server
can reach: the loopback, the private network, a cloud's metadata service.

The address is looked up once for each attempt, and the connection goes to the very address that was checked:
a name that resolves otherwise a moment later gains nothing.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

Address = IPv4Address | IPv6Address
PORTS = {"https": 443, "http": 80}
LOCAL_NAT64 = ip_network("64:ff9b:1::/48")  # RFC 8215
NAT64 = ip_network("64:ff9b::/96")  # IPv4 addresses, told in IPv6


class NotAllowed(Exception):
    """Why a hook may not lead there; the message is for people."""


class Target(NamedTuple):
    is_https: bool
    host: str  # as the certificate names it
    port: int
    path: str  # with the query

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = PORTS["https" if self.is_https else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


def read(address: str) -> Target:
    """The parts of an address. Raises NotAllowed if it is none, or one that no network could allow."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise NotAllowed(_("This is no address: %(error)s.") % {"error": error}) from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise NotAllowed(_("Write a whole address that begins with https://."))
    if parts.scheme == "http" and not (settings.DEBUG or settings.HOOK_NETWORKS):
        raise NotAllowed(_("The address must begin with https://, so that nobody reads along."))
    if parts.username or parts.password:
        raise NotAllowed(
            _("An address with a user name or password is not taken: the signature says who asks.")
        )
    if not address.isascii() or any(sign <= " " or sign == "\x7f" for sign in address):
        raise NotAllowed(_("Write the address in ASCII, without spaces."))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme == "https", parts.hostname, port or PORTS[parts.scheme], path)
    try:
        literal = ip_address(target.host)
    except ValueError:
        if target.host == "localhost" or target.host.endswith(".localhost"):
            check(target, ip_address("127.0.0.1"))
    else:
        check(target, literal)
    return target


def resolve(target: Target) -> str:
    """An address of the host to which a request may go. Raises NotAllowed if any of its addresses is not
    allowed, or if there is none."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotAllowed(
            _("“%(host)s” has no address: %(error)s") % {"host": target.host, "error": error}
        ) from None
    texts = [str(entry[4][0]).partition("%")[0] for entry in found]
    for text in texts:
        check(target, ip_address(text))
    return texts[0]


def check(target: Target, address: Address) -> None:
    """Raises NotAllowed if no request may go to this address."""
    real = _embedded(address)
    if any(real in network for network in settings.HOOK_NETWORKS if network.version == real.version):
        return
    is_local = isinstance(real, IPv6Address) and (real.is_site_local or real in LOCAL_NAT64)
    if not real.is_global or real.is_multicast or real.is_reserved or is_local:
        raise NotAllowed(
            _("“%(host)s” is in a private network (%(address)s), and HOOK_NETWORKS does not allow it.")
            % {"host": target.host, "address": real}
        )
    if not target.is_https and not settings.DEBUG:
        raise NotAllowed(_("Only networks in HOOK_NETWORKS are reached without https."))


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that leads to it, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
