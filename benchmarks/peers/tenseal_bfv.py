"""SEAL's BFV through TenSEAL's ``sealapi``, in its own environment: milliseconds of processor time a call, as JSON.

``python -m benchmarks.peers.tenseal_bfv CALLS``. Parameters are SEAL's own for 128 bits at degree 8192, with a plain
modulus of 50 bits: 174 bits for ciphertexts and 44 for the switching of keys, which none of these operations needs.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["measure"]


def measure(calls: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each operation, and bytes of both kinds of ciphertext."""
    import tenseal.sealapi as seal

    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    parameters.set_poly_modulus_degree(8192)
    parameters.set_coeff_modulus(seal.CoeffModulus.BFVDefault(8192, seal.SEC_LEVEL_TYPE.TC128))
    parameters.set_plain_modulus(seal.PlainModulus.Batching(8192, 50))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    keys, public = seal.KeyGenerator(context), seal.PublicKey()
    keys.create_public_key(public)
    encryptor = seal.Encryptor(context, public, keys.secret_key())
    evaluator, decryptor = seal.Evaluator(context), seal.Decryptor(context, keys.secret_key())
    encoder, source = seal.BatchEncoder(context), random.Random(1)  # noqa: S311 (values to compute with)

    def plain() -> object:
        made = seal.Plaintext()
        encoder.encode([source.getrandbits(49) for _ in range(8192)], made)
        return made

    message, multiplier, kept_multiplier = plain(), plain(), seal.Plaintext()
    fresh, kept, out, opened = seal.Ciphertext(), seal.Ciphertext(), seal.Ciphertext(), seal.Plaintext()
    encryptor.encrypt(message, fresh)
    evaluator.transform_to_ntt(fresh, kept)
    evaluator.transform_to_ntt(multiplier, fresh.parms_id(), kept_multiplier)
    operations: dict[str, Callable[[], object]] = {
        "encrypt": lambda: encryptor.encrypt(message, out),
        "encrypt_secret": lambda: encryptor.encrypt_symmetric(message),
        "product": lambda: evaluator.multiply_plain(fresh, multiplier, out),
        "product_kept": lambda: evaluator.multiply_plain(kept, kept_multiplier, out),
        "decrypt": lambda: decryptor.decrypt(fresh, opened),
    }
    with tempfile.TemporaryDirectory() as folder:
        sizes = {}
        for name, ciphertext in (("pair", fresh), ("seeded", encryptor.encrypt_symmetric(message))):
            file = Path(folder) / name
            ciphertext.save(str(file))
            sizes[name] = file.stat().st_size
    return {"milliseconds": {name: _clocked(call, calls) for name, call in operations.items()}, "bytes": sizes}


def _clocked(call: Callable[[], object], calls: int) -> float:
    call()
    began = time.process_time()
    for _ in range(calls):
        call()
    return 1e3 * (time.process_time() - began) / calls


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))) + "\n")
