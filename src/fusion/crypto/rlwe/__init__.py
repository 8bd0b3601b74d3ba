"""Encryption under ring learning with errors, for sums and for products with what one side knows in the clear.

A message is a polynomial of 4096 or 8192 integers modulo t. Ciphertexts are added, negated, and multiplied by
plaintext polynomials modulo X^n + 1; there is no product of two ciphertexts. Encode one vector as the sum of v_i X^i
and another as the sum of u_i X^(n-1-i): coefficient n - 1 of the product is their inner product. With a prime t,
`to_coefficients` turns slots into coefficients, and products are products slot by slot.

One loop shows all of it::

    params = parameters(50, terms=3)                        # both sides, a pure function
    secret = generate(params)                               # the key owner
    ciphertexts = secret.encrypt(blocks)                    # (3, n); to_bytes() is half as long as a ciphertext
    total = ciphertexts.inner(prepare(params, weights))     # the other side: weights are (rows, 3, n)
    responses, mask = secret.public.respond(total, [params.degree - 1])
    shares = secret.open(responses)                         # value + mask modulo t

What goes back to the key owner leaves this package by `PublicKey.respond` alone; what is under a key that parties
share is opened by `Share.decrypt` of each. Both flood the noise, which would tell of multipliers or of shares;
docs/decisions/0019 has the argument and every bound. Parameters have 128 bits of security, also against quantum
computers, by the guidelines of 2024 and with a margin to the Homomorphic Encryption Standard's of 2018.
"""

from fusion.crypto.rlwe.ciphertexts import Ciphertexts
from fusion.crypto.rlwe.joint import Share, combine, open_shares
from fusion.crypto.rlwe.keys import PublicKey, SecretKey, generate
from fusion.crypto.rlwe.plaintexts import (
    Plaintexts,
    centred,
    prepare,
    prepare_weights,
    residues,
    to_coefficients,
    to_slots,
)
from fusion.crypto.rlwe.plan import Parameters, parameters
from fusion.crypto.rlwe.responses import Responses

__all__ = [
    "Ciphertexts",
    "Parameters",
    "Plaintexts",
    "PublicKey",
    "Responses",
    "SecretKey",
    "Share",
    "centred",
    "combine",
    "generate",
    "open_shares",
    "parameters",
    "prepare",
    "prepare_weights",
    "residues",
    "to_coefficients",
    "to_slots",
]
