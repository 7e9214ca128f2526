"""Laws of addresses: which file a ``file:`` URL names, and which servers are public."""

import os

import pytest

from keyscore_plugin.errors import VideoError
from keyscore_plugin.hosts.addresses import is_public, local_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///tmp/a#b.mp4", "/tmp/a#b.mp4"),
        ("file:///tmp/a?b.mp4", "/tmp/a?b.mp4"),
        ("file:///tmp/a%23b%3f.mp4", "/tmp/a#b?.mp4"),
        ("FILE://LocalHost/tmp/a.mp4", "/tmp/a.mp4"),
        ("file:/tmp/a.mp4", "/tmp/a.mp4"),
        ("file:////tmp/a.mp4", "//tmp/a.mp4"),
        ("/tmp/a%20b.mp4", "/tmp/a%20b.mp4"),
        ("file:///tmp/caf%E9.mp4", os.fsdecode(b"/tmp/caf\xe9.mp4")),
    ],
)
def test_a_file_url_is_the_path_after_its_host(url: str, path: str) -> None:
    assert local_path(url) == path


@pytest.mark.parametrize("url", ["file://server/share/a.mp4", "file://a.mp4", "file://h#/a.mp4"])
def test_a_file_of_another_machine_is_refused(url: str) -> None:
    with pytest.raises(VideoError, match="another machine; give file:///PATH") as error:
        local_path(url)
    assert error.value.path == url


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1"),
    ],
)
def test_these_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
