"""One party of SecretFlow's intersection, ECDH on Curve25519 or RR22, in SecretFlow's own environment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import child

_PATIENCE = 600_000  # milliseconds


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Load the library and link up.

    The job names ``protocol``, ``rank``, ``ports`` (the one to listen on, and the one to dial), ``table``, ``out``,
    ``on``, and whether ``both`` learn.
    """
    import spu.libspu as spu
    from spu import psi

    description = spu.link.Desc()
    description.recv_timeout_ms = _PATIENCE
    for rank, port in enumerate(job["ports"]):
        description.add_party(f"party-{rank}", f"127.0.0.1:{port}")
    link = spu.link.create_brpc(description, job["rank"])
    protocols = {"ecdh": psi.PsiProtocol.PROTOCOL_ECDH, "vole": psi.PsiProtocol.PROTOCOL_RR22}
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=protocols[job["protocol"]],
            receiver_rank=0,
            broadcast_result=job["both"],
            # each protocol reads its own; the mode of few bytes is slower, and not what we are compared with
            ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519),
            rr22_params=psi.Rr22Rarams(low_comm_mode=False),
        ),
        # told that keys are unique, it spares itself the check that we make
        input_params=psi.InputParams(path=job["table"], selected_keys=[job["on"]], keys_unique=True),
        # one learner has nobody to be aligned with
        output_params=psi.OutputParams(path=job["out"], disable_alignment=not job["both"]),
    )

    def run() -> dict[str, Any]:
        report = psi.psi_execute(config, link)
        return {"rows": report.intersection_count}

    try:
        yield run
    finally:
        link.stop_link()


if __name__ == "__main__":
    child.play(prepare)
