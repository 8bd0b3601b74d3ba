"""Talking to a peer: typed messages, blocking calls, and a transport that does not matter to the protocol."""

from fusion.channel.channel import Channel, Group, Session
from fusion.channel.config import Party, Peer
from fusion.channel.connect import PeerInfo, connect, probe
from fusion.channel.identity import Identity
from fusion.channel.messages import Chunk, Opening
from fusion.channel.policy import Policy, allow_all
from fusion.channel.relay import relayed
from fusion.channel.simulate import simulate
from fusion.channel.transcript import Receipt

__all__ = [
    "Channel",
    "Chunk",
    "Group",
    "Identity",
    "Opening",
    "Party",
    "Peer",
    "PeerInfo",
    "Policy",
    "Receipt",
    "Session",
    "allow_all",
    "connect",
    "probe",
    "relayed",
    "simulate",
]
