"""Sums under a key that all clients hold together: a client and a server without input or output.

Functionality: the server learns the sum of the integer vectors of at least ``threshold`` clients, and who is in it.

Parties: a server, and 2 to 1024 clients whose Ed25519 identities are pinned by each other.
Inputs: each client a vector of ``size`` integers of magnitude at most ``limit``, in each round.
Outputs: the server has the sum; clients get what it sends them.
Leakage: sizes, names, who is in a sum, whether a round failed.
Threat model: a server that does anything, and clients that work with it and deviate: together they learn the sum over
the others in a round, of whom at least ``threshold - colluding`` are. A client that deviates can make the sum wrong.
Either of two assumptions is enough where clients follow the protocol: ring learning with errors, or X25519 with AES.
Where some deviate, the latter is needed.
Rounds and bytes: two flights a run, of n times 154 kB to each client; four a round. Two values make a coefficient, 8192
coefficients a ciphertext. For each coefficient a client sends 150 bits as its update and w = 52 + ceil(log2 2n) to open
the sum, and receives 150: for ten clients 12.9 bytes sent a value, and 9.4 received.
Reference: Asharov and others, EUROCRYPT 2012 (keys and parts); Freivalds 1977 (projections);
Bonawitz and others, CCS 2017 (masks in pairs); docs/decisions/0024.
"""

from fusion.aggregation.joint.client import Client
from fusion.aggregation.joint.parameters import Parameters
from fusion.aggregation.joint.server import Round, Server

__all__ = ["Client", "Parameters", "Round", "Server"]
