"""What the address of a video names: a local file, a file on a server, a public server."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from keyscore_plugin.errors import InputError, VideoError, shown

_USERINFO = re.compile(r"\w+:/*[^/?#]*@")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last four bytes


def is_remote(video: str) -> bool:
    """Whether this names a file on a server."""
    return _scheme(video) in ("http", "https")


def local_path(video: str) -> str:
    """Return the path of a ``file:`` URL, and anything else unchanged.

    A ``file:`` URL has no query and no fragment (RFC 8089): ``?`` and ``#`` belong to the path, as
    users write it who put ``file://`` before a name.

    Example:
        >>> local_path("file:///tmp/a%20clip.mp4")
        '/tmp/a clip.mp4'
        >>> local_path("file:///tmp/take#2.mp4")
        '/tmp/take#2.mp4'

    Raises:
        VideoError: The ``file:`` URL names another machine.
    """
    if _scheme(video) != "file":
        return video
    rest = video.partition(":")[2]
    if not rest.startswith("//"):
        return unquote(rest, errors="surrogateescape")  # as Python names a file that is no UTF-8
    host, slash, path = rest[2:].partition("/")
    if host.lower() not in ("", "localhost"):
        raise VideoError(
            video,
            f"its file lies on {shown(host)}, another machine",
            "give file:///PATH, or the path",
        )
    return unquote(slash + path, errors="surrogateescape")


def refuse_user(url: str) -> None:
    """Refuse a URL that names a user; the error does not show it, as it may hold a password.

    Raises:
        InputError: It names one.
    """
    if _USERINFO.match(url):
        raise InputError(
            "a URL with a user's name before its host (https://USER@HOST/...) is not fetched; "
            "download it and give its path, or give a URL without"
        )


def is_ip_address(host: str) -> bool:
    """Whether the host of a URL is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet: not loopback, private, link-local ..."""
    ip = ip_address(address.partition("%")[0])  # a link-local one may name its interface
    if isinstance(ip, IPv6Address):
        if ip.is_site_local:  # `is_global` counts it as global
            return False
        ip = _ipv4_in(ip) or ip
    return ip.is_global and not ip.is_multicast


def _scheme(video: str) -> str:
    # Not `urlsplit`: it raises for some paths that are no URL at all, such as //[a].mp4.
    return video.partition(":")[0].lower()


def _ipv4_in(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which this one leads; None if it leads to no IPv4 address."""
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour
