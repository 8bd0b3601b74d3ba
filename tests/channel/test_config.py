"""A party's file: every way to get it wrong has one line that says what to do."""

from __future__ import annotations

import pytest

from fusion.channel import Party
from fusion.channel.config import DEFAULT_TIMEOUT, host_and_port
from fusion.errors import InputError

from .parties import one_line


@pytest.fixture
def written(keys, tmp_path):
    """Write a party file for a, which knows b, with lines replaced."""

    def write(**changes):
        lines = {
            "name": 'name = "a"',
            "identity": f'identity = "{keys["a"].path}"',
            "listen": 'listen = "127.0.0.1:7300"',
            "timeout": "",
            "head": "[peers.b]",
            "fingerprint": f'fingerprint = "{keys["b"].fingerprint}"',
            "address": "",
            "more": "",
        } | changes
        path = tmp_path / "party.toml"
        path.write_text("\n".join(lines.values()), "utf-8")
        return path

    return write


def test_a_good_file(written, keys):
    party = Party.load(written())
    assert (party.name, party.listen, party.timeout) == ("a", "127.0.0.1:7300", DEFAULT_TIMEOUT)
    assert party.identity == keys["a"]
    assert party.peer("b").fingerprint == keys["b"].fingerprint
    assert party.peer("b").address is None
    party = Party.load(written(listen="", timeout="timeout = 7", address='address = "b.example:7300"'))
    assert (party.listen, party.timeout, party.peer("b").address) == (None, 7.0, "b.example:7300")


def test_paths_are_relative_to_the_file(written, keys, tmp_path):
    (tmp_path / "own.key").write_bytes(keys["a"].path.read_bytes())
    (tmp_path / "own.key").chmod(0o600)
    assert Party.load(written(identity='identity = "own.key"')).identity.fingerprint == keys["a"].fingerprint


FAULTS = {
    "no_toml": ({"name": "name = = "}, "no party file"),
    "missing_name": ({"name": ""}, "name"),
    "missing_identity": ({"identity": ""}, "identity"),
    "missing_fingerprint": ({"fingerprint": ""}, "fingerprint"),
    "misspelt": ({"timeout": "time_out = 5"}, "time_out"),
    "misspelt_in_peer": ({"address": 'adress = "x:1"'}, "adress"),
    "name_is_a_number": ({"name": "name = 5"}, "name"),
    "name_reserved": ({"name": 'name = "both"'}, "reserved"),
    "name_with_space": ({"name": 'name = "a b"'}, "letters"),
    "no_such_identity": ({"identity": 'identity = "nowhere.key"'}, "keygen"),
    "zero_byte_in_identity": ({"identity": 'identity = "a\\u0000b"'}, "keygen"),
    "timeout_too_short": ({"timeout": "timeout = 0.5"}, "timeout must be from 3"),
    "timeout_negative": ({"timeout": "timeout = -5"}, "timeout"),
    "timeout_too_long": ({"timeout": "timeout = 1e9"}, "timeout"),
    "timeout_no_number": ({"timeout": "timeout = nan"}, "timeout"),
    "timeout_infinite": ({"timeout": "timeout = inf"}, "timeout"),
    "listen_without_port": ({"listen": 'listen = "localhost"'}, "host:port"),
    "listen_on_port_zero": ({"listen": 'listen = "localhost:0"'}, "port from 1"),
    "address_without_host": ({"address": 'address = ":7300"'}, "host:port"),
    "peer_is_oneself": ({"head": "[peers.a]"}, "this party itself"),
    "peer_reserved": ({"head": "[peers.all]"}, "reserved"),
    "fingerprint_in_capitals": ({"fingerprint": 'fingerprint = "ED25519:00"'}, "64 lower-case"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_in_one_line(written, fault):
    changes, words = FAULTS[fault]
    with pytest.raises(InputError, match=words) as caught:
        Party.load(written(**changes))
    one_line(caught.value)


def test_own_fingerprint_as_a_peers(written, keys):
    with pytest.raises(InputError, match="this party's own"):
        Party.load(written(fingerprint=f'fingerprint = "{keys["a"].fingerprint}"'))


def test_two_peers_with_one_key(written, keys):
    with pytest.raises(InputError, match="same fingerprint"):
        Party.load(written(more=f'[peers.c]\nfingerprint = "{keys["b"].fingerprint}"'))


def test_another_name_than_the_identitys_is_refused(written):
    with pytest.raises(InputError, match=r"party\.toml: name is 'z', but .*a\.key was made for 'a'"):
        Party.load(written(name='name = "z"'))


def test_an_address_that_is_none_is_named_with_its_file(written):
    with pytest.raises(InputError, match=r"party\.toml: listen: 'here' is no address"):
        Party.load(written(listen='listen = "here"'))


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        Party.load(tmp_path / "nothing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no party file"):
        Party.load(tmp_path / "binary.toml")


def test_a_stranger_is_no_peer(written):
    with pytest.raises(InputError, match=r"knows no peer 'x' \(known: b\)"):
        Party.load(written()).peer("x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host:1", ("host", 1)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[::1]:7300", ("::1", 7300)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
    ],
)
def test_addresses(text, expected):
    assert host_and_port(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host",
        "host:",
        ":80",
        "[]:80",
        "host:0",
        "host:65536",
        "host:-1",
        "host:1.5",
        "host:８０",
        "::1:80",
        "host:" + "9" * 5000,
        "[::1]x:80",
        "host:80 ",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_what_is_no_address(text):
    with pytest.raises(InputError):
        host_and_port(text)
