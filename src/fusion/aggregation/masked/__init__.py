"""Sums by masks only: a client and a server without input or output, and `secure_sum` over channels."""

from fusion.aggregation.masked.client import Client
from fusion.aggregation.masked.parameters import Parameters
from fusion.aggregation.masked.participant import Participant
from fusion.aggregation.masked.rounds import Rounds
from fusion.aggregation.masked.server import Round, Server
from fusion.aggregation.masked.sum import SecureSum, secure_sum

__all__ = ["Client", "Parameters", "Participant", "Round", "Rounds", "SecureSum", "Server", "secure_sum"]
