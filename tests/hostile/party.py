"""A party in a process of its own, as a script: ``party.py ROLE PARTY_FILE PEER SILENCE``.

Says what it does in single words on its standard output, and ends as the commands do: with status 0, or with one line
on its standard error and another status.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import fusion
from fusion.channel import Channel, Chunk, tls

tls.HEARTBEAT = 0.2


def say(word: str) -> None:
    print(word, flush=True)


def swap(peer: Channel, chunks: int = 3, pause: float = 0.0) -> None:
    def source():
        for number in range(chunks):
            if number:
                time.sleep(pause)
            yield Chunk(1, np.zeros((100, 8), np.uint8))
            say("sent")

    with peer.operation("test.swap"):
        peer.open(learn="both", kinds=("integer",), rows=100 * chunks, parameters={})
        for _ in peer.exchange(source(), {1: 8}):
            pass
        peer.finish({})
    say("done")


def idle(peer: Channel) -> None:
    say("idle")
    time.sleep(100)


def slow(peer: Channel) -> None:
    swap(peer, 1000, 0.1)


def computes(peer: Channel) -> None:
    with peer.operation("test.swap"):
        peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
        peer.phase("computing")
        say("sent")
        time.sleep(100)


def breaks(peer: Channel) -> None:
    with peer.operation("test.swap"):
        peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
        say("sent")
        raise fusion.InputError("column 'id_number' repeats the key 110101199003078888")


ROLES = {"swap": swap, "idle": idle, "slow": slow, "computes": computes, "breaks": breaks}


def main(role: str, file: str, name: str, silence: str) -> int:
    tls.SILENCE = float(silence)
    try:
        with fusion.connect(file, peer=name) as peer:
            ROLES[role](peer)
    except fusion.FusionError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
