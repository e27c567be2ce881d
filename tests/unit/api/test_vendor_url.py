"""What we are told to fetch never leads into our own network (S45)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.vendor_url import is_public, parse_vendor_url
from storage.errors import InvalidInput


@pytest.mark.requirement("S45")
@pytest.mark.parametrize(
    "text",
    [
        "http://vendor.example/fw.bin",
        "ftp://vendor.example/fw.bin",
        "file:///etc/passwd",
        "//vendor.example/fw.bin",
        "vendor.example/fw.bin",
        "https://user:secret@vendor.example/fw.bin",
        "https://vendor.example@169.254.169.254/fw.bin",
        "https://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/fw.bin",
        "https://[::1]/fw.bin",
        "https://[::ffff:10.0.0.1]/fw.bin",
        "https://[64:ff9b::7f00:1]/fw.bin",
        "https://[fd00::1]/fw.bin",
        "https://2130706433/fw.bin",
        "https://0x7f.1/fw.bin",
        "https://localhost/fw.bin",
        "https://vendor.example/fw.bin\r\nHost: evil",
        "https://vendor.example/fw.bin%0d%0aX: y",
        "https://vendor.example/$(reboot)",
        "https://vendor.example/fw.bin;reboot",
        "https://vendor.example/`id`",
        "https://vendor.example/a b",
        "https://vendor.example\\@10.0.0.1/",
        "https://vendor.example:99999/fw.bin",
        "https://vendor.example:0x50/fw.bin",
        "https://[::1/fw.bin",
        "https://v\u0435ndor.example/fw.bin",
        "https://vendor.example/" + "a" * 2000,
        "",
    ],
)
def test_an_address_that_could_turn_on_us_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_vendor_url(text)
    assert refused.value.problems


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("https://Vendor.Example/a/fw-1.2.bin?v=1&x=%20", "vendor.example", 443, "/a/fw-1.2.bin?v=1&x=%20"),
        ("https://vendor.example:8443", "vendor.example", 8443, "/"),
        ("https://93.184.216.34/fw", "93.184.216.34", 443, "/fw"),
    ],
)
def test_a_public_address_is_taken_apart(text: str, host: str, port: int, target: str) -> None:
    url = parse_vendor_url(text)
    assert (url.host, url.port, url.target) == (host, port, target)
    assert parse_vendor_url(url.text) == url


@pytest.mark.requirement("S45")
@given(st.ip_addresses(v=4))
def test_an_address_hidden_in_another_is_judged_as_itself(inner: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{inner}")
    nat64 = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | int(inner))
    if not is_public(inner):
        assert not is_public(mapped)
        assert not is_public(nat64)


@pytest.mark.requirement("S45")
@given(st.text(max_size=60))
def test_whatever_is_told_either_holds_to_the_rules_or_is_refused(text: str) -> None:
    try:
        url = parse_vendor_url("https://" + text)
    except InvalidInput:
        return
    assert url.text.isascii()
    assert not set(url.text) & set(" @;$()'`\\\r\n\t\0\"<>|")
    assert url.host not in ("localhost", "")
