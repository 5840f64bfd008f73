"""Which addresses are public and which are not."""

import pytest

from core.outbound.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("127.0.0.1", "127.255.255.254"),
        *("169.254.0.1", "169.254.169.254", "168.63.129.16"),
        *("100.64.0.1", "100.100.100.200", "100.127.255.255"),
        *("192.0.0.9", "192.0.0.192", "192.88.99.1", "198.18.0.1", "198.19.255.255"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    ],
)
def test_ipv4_that_is_not_public(address: str) -> None:
    """Unspecified, private, loopback, link-local, metadata, carrier's, reserved, documentation,
    multicast.
    """
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "fd00:ec2::254",
        ),
        *("ff02::1", "ff0e::1", "100::1", "5f00::1", "2001:db8::1", "3fff::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
        ),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::a00:1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"),
        *("2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1"),
        "2606:4700::1111%lo",
    ],
)
def test_ipv6_that_is_not_public(address: str) -> None:
    """The same kinds, and every form that carries an IPv4 address: mapped, compatible, NAT64, 6to4,
    Teredo.
    """
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "8.8.8.8",
            "1.1.1.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
        ),
        *("223.255.255.255", "169.253.255.255", "192.169.0.1", "11.0.0.1"),
        *("2606:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::1", "2400:cb00::1"),
    ],
)
def test_public(address: str) -> None:
    """Up to the very edge of the refused ranges."""
    assert is_public(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "1.2.3.4.5", " "]
)
def test_what_is_no_address(text: str) -> None:
    """Only the one usual form is an address."""
    assert not is_public(text)
