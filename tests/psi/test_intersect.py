"""`psi.intersect` against its cleartext twin, and what it lets the other side see."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion
from fusion.channel.simulate import run
from fusion.psi import ecdh, ideal, intersect, vole

from .recording import recorded, shapes

PEOPLE = pd.DataFrame({"id": ["b", "a", "c", " D "], "age": [20, 30, 40, 50]}, index=[7, 5, 3, 1])
POLICIES = pd.DataFrame({"member": ["x", "d", "A", "y", "z"], "premium": [1.5, 2.5, 3.5, 4.5, 5.5]})


def both(left, right, on_left, on_right=None, *, window=16, **options):
    return run(
        {
            "left": lambda peer: (intersect(peer, left, on_left, **options), peer.receipt()),
            "right": lambda peer: (intersect(peer, right, on_right or on_left, **options), peer.receipt()),
        },
        window=window,
    )


@pytest.fixture(params=["ecdh", "vole"])
def protocol(request):
    return request.param


@pytest.mark.parametrize("window", [1, 16])
def test_both_learn_aligned_rows(window, protocol):
    out = both(PEOPLE, POLICIES, ["id"], ["member"], window=window, protocol=protocol)
    (left, receipt), (right, other) = out["left"], out["right"]
    pairs = sorted(zip(left["id"].str.strip().str.lower(), right["member"].str.lower(), strict=True))
    assert pairs == [("a", "a"), ("d", "d")]
    assert left.index.equals(right.index)
    assert left.index.name == right.index.name == f"pair-{receipt.session[:32]}"
    assert receipt.session == other.session
    assert receipt.transcript == other.transcript
    assert receipt.sizes == other.sizes == {"left": 4, "right": 5}
    assert receipt.bytes_sent == other.bytes_received
    assert receipt.learned == other.learned
    assert receipt.parameters == other.parameters
    assert receipt.parameters["protocol"] == protocol
    assert receipt.learned["left"] == [
        "how many distinct keys the other side brought: 5",
        "which of its own keys the other side holds too: 2 of 4",
    ]


@pytest.mark.parametrize("learner", ["left", "right"])
def test_one_learns(learner, protocol):
    out = both(PEOPLE, POLICIES, ["id"], ["member"], learn=learner, protocol=protocol)
    idle = {"left": "right", "right": "left"}[learner]
    assert out[idle][0] is None
    assert len(out[learner][0]) == 2
    assert out[learner][1].parameters == out[idle][1].parameters
    assert len(out[learner][1].learned[idle]) == 1
    assert out[learner][1].learned[learner][1].endswith(f": 2 of {out[learner][1].sizes[learner]}")
    assert not any("2 of" in sentence for sentence in [s for said in out[idle][1].learned.values() for s in said])


keys = st.lists(st.tuples(st.text(max_size=4), st.none() | st.integers(-3, 3)), max_size=30)


@pytest.mark.parametrize("protocol", ["ecdh", "vole"])
@settings(max_examples=40, deadline=None)
@given(a=keys, b=keys, learn=st.sampled_from(["both", "left", "right"]), window=st.sampled_from([1, 2, 16]))
def test_agrees_with_the_cleartext_twin(protocol, a, b, learn, window):
    tables = {
        name: pa.table(
            {"t": pa.array([k[0] for k in rows], pa.string()), "i": pa.array([k[1] for k in rows], pa.int64())}
        )
        for name, rows in (("left", a), ("right", b))
    }
    tables = {name: table.append_column("row", pa.array(np.arange(len(table)))) for name, table in tables.items()}
    on = {"t": "text", "i": "integer"}
    options = {"learn": learn, "duplicates": "first"}
    out = both(tables["left"], tables["right"], on, **options, window=window, protocol=protocol)
    twin = ideal.intersect({n: (t, on) for n, t in tables.items()}, **options)
    pairs = []
    for result in ({n: out[n][0] for n in out}, twin):
        learners = [n for n in ("left", "right") if result[n] is not None]
        assert learners == (["left", "right"] if learn == "both" else [learn])
        pairs.append(sorted(zip(*(result[n]["row"].to_pylist() for n in learners), strict=True)))
    assert pairs[0] == pairs[1]


@pytest.mark.parametrize(("protocol", "n"), [("ecdh", ecdh.CHUNK + 77), ("vole", 40_000)])
def test_more_rows_than_a_chunk(protocol, n):
    left = pd.DataFrame({"k": np.arange(n)})
    right = pd.DataFrame({"k": np.arange(n // 2, n // 2 + 50)})
    out = both(left, right, ["k"], window=1, protocol=protocol)
    assert sorted(out["left"][0]["k"]) == list(range(n // 2, n // 2 + 50))
    assert out["left"][0]["k"].tolist() == out["right"][0]["k"].tolist()


def test_columns_are_not_confused_by_their_borders():
    left = pd.DataFrame({"p": ["a,b", "ab"], "q": ["c", ""]})
    right = pd.DataFrame({"p": ["a", "a"], "q": ["b,c", "b"]})
    out = both(left, right, ["p", "q"])
    assert len(out["left"][0]) == 0


def test_nulls_never_match():
    left = pd.DataFrame({"k": [None, "a", ""]})
    out = both(left, left, ["k"])
    assert out["left"][0]["k"].tolist() == ["a"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_empty_tables(side, protocol):
    tables = {"left": PEOPLE.rename(columns={"id": "k"}), "right": POLICIES.rename(columns={"member": "k"})}
    tables[side] = tables[side].iloc[:0]
    out = both(tables["left"], tables["right"], {"k": "text"}, protocol=protocol)
    assert len(out["left"][0]) == len(out["right"][0]) == 0


def test_duplicates_are_refused_unless_told():
    twice = pd.DataFrame({"id": ["a", "b", "a"], "n": [1, 2, 3]})
    with pytest.raises(fusion.InputError, match="1 rows repeat a key") as caught:
        both(twice, POLICIES, ["id"], ["member"])
    assert any("left" in note for note in caught.value.__notes__)
    out = both(twice, POLICIES, ["id"], ["member"], duplicates="first")
    assert out["left"][0]["n"].tolist() == [1]


@pytest.mark.parametrize(
    ("left", "right", "field"),
    [
        ({"learn": "both"}, {"learn": "left"}, "learn"),
        ({"on": {"id": "text"}}, {"on": {"id": "cn_id"}}, "kinds"),
        ({"on": ["id"]}, {"on": {"id": "text", "age": "integer"}}, "kinds"),
        ({"protocol": "auto"}, {"protocol": "ecdh"}, "protocol"),
        ({"protocol": "vole"}, {"protocol": "ecdh"}, "protocol"),
    ],
)
def test_both_sides_hear_of_a_mismatch(left, right, field):
    caught = {}

    def role(name, options):
        def play(peer):
            try:
                intersect(peer, PEOPLE, **{"on": ["id"], **options})
            except fusion.MismatchError as error:
                caught[name] = error

        return play

    fusion.simulate(left=role("left", left), right=role("right", right))
    assert {name: error.field for name, error in caught.items()} == {"left": field, "right": field}
    assert caught["left"].ours == caught["right"].theirs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"how": "outer"}, "how="),
        ({"duplicates": "last"}, "duplicates="),
        ({"protocol": "plain"}, "protocol="),
        ({"learn": "nobody"}, "learn="),
        ({"on": ["nowhere"]}, "nowhere"),
    ],
)
def test_arguments_are_checked(options, words):
    with pytest.raises(fusion.InputError, match=words):
        fusion.simulate(
            left=lambda peer: intersect(peer, PEOPLE, **{"on": ["id"], **options}),
            right=lambda peer: intersect(peer, POLICIES, on=["member"]),
        )


def test_the_channel_serves_the_next_operation_after_a_failed_one():
    def left(peer):
        with pytest.raises(fusion.InputError):
            intersect(peer, PEOPLE, on=["nowhere"])
        return intersect(peer, PEOPLE, on=["id"])

    def right(peer):
        with pytest.raises(fusion.PeerAborted, match="InputError"):
            intersect(peer, POLICIES, on=["member"])
        return intersect(peer, POLICIES, on=["member"])

    out = fusion.simulate(left=left, right=right)
    assert len(out["left"]) == len(out["right"]) == 2


IDS = [f"person-{i:05d}" for i in range(300)]


def test_the_wire_shows_no_identifier_nor_a_plain_hash_of_one(monkeypatch, protocol):
    with recorded(monkeypatch) as frames:
        out = both(pd.DataFrame({"k": IDS[:200]}), pd.DataFrame({"k": IDS[100:]}), ["k"], protocol=protocol)
    wire = b"".join(bytes(frame.payload) for frame in frames)
    assert len(wire) > 400 * 32
    for identifier in IDS:
        raw = identifier.encode()
        assert raw not in wire
        framed = len(raw).to_bytes(4, "little") + raw
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256"):
            for data in (raw, framed):
                assert hashlib.new(name, data).digest()[:8] not in wire
    # nor anything else that anybody could compute: what stands for x, and H(x) unmasked
    items = _items(IDS)
    session = bytes.fromhex(out["left"][1].session)
    domain = hashlib.sha256(b"fusion/psi/ecdh/1/" + ecdh.SUITE.encode() + b"/item/" + session).digest()
    points = fusion.crypto.group.hash_to_group(items, b"fusion/ecdh/1" + domain)
    prefix = hashlib.sha256(b"fusion/psi/vole/1/" + vole.SUITE.encode() + b"/item").digest() + session
    for item, point in zip(items, fusion.kernels.ristretto.encode(points), strict=True):
        hashed = hashlib.sha256(prefix + item.tobytes()).digest()
        for part in (item.tobytes()[:8], point.tobytes(), hashed[:8], hashed[16:24]):
            assert part not in wire


def _items(identifiers):
    from fusion.psi.intersection import _items
    from fusion.tables import Table, key_columns

    return _items(key_columns(Table.of(pd.DataFrame({"k": identifiers})), ["k"]), "error")[1]


@pytest.mark.parametrize("learn", ["both", "left"])
def test_what_the_wire_shows_depends_on_sizes_only(monkeypatch, learn, protocol):
    seen = []
    for left, right in ((IDS[:200], IDS[100:]), (IDS[100:], IDS[:200]), (IDS[:200], [f"other{i}" for i in range(200)])):
        with recorded(monkeypatch) as frames:
            both(pd.DataFrame({"k": left}), pd.DataFrame({"k": right}), ["k"], learn=learn, protocol=protocol)
        seen.append(shapes(frames))
    assert seen[0] == seen[1] == seen[2]


def test_every_session_draws_fresh_masks(monkeypatch):
    rows = []
    for _ in range(2):
        with recorded(monkeypatch) as frames:
            both(pd.DataFrame({"k": IDS}), pd.DataFrame({"k": IDS}), ["k"], protocol="ecdh")
        chunks = [np.frombuffer(f.payload, np.uint8, offset=8) for f in frames if f.stream == 1]
        rows.append({bytes(row) for chunk in chunks for row in chunk.reshape(-1, 32)})
    assert len(rows[0]) == 600  # neither do the two sides share a mask
    assert rows[0].isdisjoint(rows[1])


def test_order_says_nothing_about_either_table(protocol):
    orders = set()
    for _ in range(6):
        out = both(pd.DataFrame({"k": IDS}), pd.DataFrame({"k": IDS}), ["k"], protocol=protocol)
        orders.add(tuple(out["left"][0]["k"]))
    assert len(orders) == 6
    assert tuple(IDS) not in orders


def test_a_low_match_rate_explains_itself():
    left = pd.DataFrame({"k": [f"1101051949123100{i:02d}" for i in range(50)]})
    out = both(left, pd.DataFrame({"k": ["440524188001010014"]}), {"k": "cn_id"})
    notes = " ".join(out["left"][1].notes)
    assert "check character" in notes
    assert "110105" not in notes


def test_rows_left_out_are_counted_whatever_matches():
    left = pd.DataFrame({"k": ["a", "b", "c", None, " ", "a"], "d": ["2024-02-29"] * 5 + ["soon"]})
    right = pd.DataFrame({"k": ["a", "b", "a"], "d": ["20240229"] * 3})
    on = {"k": "text", "d": "date"}
    bad = "2 without a value in 'k'; 1 whose 'd' cannot be read as kind 'date'"
    repeats = "rows left out, as they repeat the key of an earlier row: 1"
    for learn in ("both", "left", "right"):
        out = both(left, right, on, learn=learn, duplicates="first")
        assert out["left"][1].notes == (f"rows left out, as they cannot match: {bad}",)
        assert out["right"][1].notes == (repeats,)


def test_a_peer_without_keys_is_named_as_the_reason():
    out = both(pd.DataFrame({"k": ["a", None]}), pd.DataFrame({"k": [" ", None]}), ["k"])
    assert out["left"][1].notes[0].startswith("rows left out")
    assert out["left"][1].notes[1].startswith("right brought no usable key")
    assert out["right"][1].notes[0].startswith("column 'k': 100 % of the rows have no value")


def test_a_group_is_no_peer():
    def role(group):
        return intersect(group, PEOPLE, on=["id"])

    with pytest.raises(fusion.InputError, match=r"pass one channel, such as group\['"):
        fusion.simulate(left=role, middle=role, right=role)


@pytest.mark.parametrize(
    ("nx", "ny", "expected"), [(1 << 20, 1 << 20, 10), (1, 1, 6), (1 << 24, 1 << 24, 11), (0, 9, 6)]
)
def test_tags_are_wide_enough(nx, ny, expected):
    assert ecdh.tag_bytes(nx, ny) == expected
    assert 8 * expected >= 40 + np.log2(max(nx, 1)) + np.log2(max(ny, 1))
