"""``python -m benchmarks NAME``: our figures beside the peers', from a checkout."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import BenchmarkError
from benchmarks.measure import sizes

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        found = _measure(options)
        if getattr(options, "plot", None) is not None:
            from benchmarks import plot

            plot.draw(found, options.plot)
    except BenchmarkError as error:
        return _fail(type(error).__name__, str(error), as_json=options.json)
    except ImportError as error:
        # a checkout without its kernel, or an environment without the development packages
        return _fail("ImportError", f"{error}; use the development environment", as_json=options.json)
    except KeyboardInterrupt:
        return _fail("Interrupted", "interrupted", as_json=options.json, code=130)
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        from benchmarks import show

        show.table(found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--repeat", type=_positive, default=3, metavar="TIMES", help="turns that each takes (3)")
    common.add_argument("--json", action="store_true", help="print one JSON object")
    add = {
        name: names.add_parser(name, parents=[common], help=text, description=text, allow_abbrev=False)
        for name, text in (
            ("kernels", "operations over arrays, one core"),
            ("channel", "what TLS between two processes carries, beside bare sockets"),
            ("psi", "set intersection between two processes, from file to file"),
            ("rlwe", "lattice encryption, one core"),
            ("secure-sum", "sums by masks: one client's work and the server's, one core"),
            ("aggregation", "encrypted columns, one core"),
            ("flower", "federated averaging in Flower: one client's work and the server's, one core"),
            ("learning", "a model of two parties' columns between two processes"),
        )
    }
    for name in ("kernels", "psi"):
        add[name].add_argument("--plot", type=_svg, metavar="FILE.svg", help="draw the result as well")
    add["kernels"].add_argument("--n", default="2^13", help="rows for the curve and for hashing (2^13)")
    add["kernels"].add_argument(
        "--n-long", default="2^20", help="rows for AES, the field, the key-value store and the correlation (2^20)"
    )
    add["kernels"].add_argument("--against", default="", metavar="PEER", help="libsodium")
    add["channel"].add_argument("--n", default="2^29", help="bytes in all (2^29)")
    add["psi"].add_argument("--n", default="2^16", help="rows of each party; several as 2^10,2^12,2^14 (2^16)")
    add["psi"].add_argument("--protocol", default="auto", help="auto, vole or ecdh; several as ecdh,vole (auto)")
    add["psi"].add_argument(
        "--link", choices=("lan", "wan"), default="lan", help="loopback, or 100 Mbit/s with a round trip of 10 ms (lan)"
    )
    add["psi"].add_argument("--learn", choices=("both", "one"), default="both", help="who gets the result (both)")
    add["psi"].add_argument("--against", default="", metavar="PEER,...", help="secretflow, openmined")
    add["rlwe"].add_argument("--n", default="2^5", help="calls of each operation in a turn (2^5)")
    add["rlwe"].add_argument("--against", default="", metavar="PEER", help="tenseal")
    add["secure-sum"].add_argument("--n", default="1e6", help="values of each client (1e6)")
    add["secure-sum"].add_argument("--clients", type=_positive, default=10, help="how many clients, 3 to 100 (10)")
    add["flower"].add_argument("--n", default="1e6", help="values of the model, float32 (1e6)")
    add["flower"].add_argument("--clients", type=_positive, default=10, help="how many clients, 3 to 100 (10)")
    add["flower"].add_argument("--against", default="", metavar="PEER,...", help="flower, tenseal")
    add["aggregation"].add_argument("--n", default="10000", help="sums that ElGamal decrypts (10000)")
    add["aggregation"].add_argument("--against", default="", metavar="PEER,...", help="phe, heu, tenseal")
    for name in ("psi", "aggregation"):
        add[name].add_argument(
            "--python", type=Path, metavar="FILE", help="the Python that makes the peers' environments (this one)"
        )
    add["psi"].add_argument("--files", choices=("csv", "parquet"), default="csv", help="what tables are (csv)")
    add["learning"].add_argument("--n", default="20000", help="rows (20000)")
    add["learning"].add_argument("--columns", type=_positive, default=10, help="columns of each party (10)")
    add["learning"].add_argument("--model", default="glm", help="glm or logistic (glm)")
    add["learning"].add_argument("--family", default="poisson", help="poisson, gamma, tweedie or gaussian (poisson)")
    add["learning"].add_argument("--against", default="", metavar="PEER", help="pooled")
    return parser


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    several = sizes(options.n)
    if len(several) > 1 and options.name != "psi":
        raise BenchmarkError(f"{options.name} takes one size at a time")
    # what a benchmark needs is imported by that benchmark only
    if options.name == "kernels":
        from benchmarks import kernels

        long = sizes(options.n_long)
        if len(long) > 1:
            raise BenchmarkError("kernels takes one size at a time")
        against = _names(options.against, kernels.PEERS, "peer")
        return kernels.benchmark(several[0], long[0], repeat=options.repeat, against=against)
    if options.name == "channel":
        from benchmarks import channel

        return channel.benchmark(several[0], repeat=options.repeat)
    if options.name == "rlwe":
        from benchmarks import rlwe

        against = _names(options.against, rlwe.PEERS, "peer")
        return rlwe.benchmark(several[0], repeat=options.repeat, against=against)
    if options.name == "secure-sum":
        from benchmarks import secure_sum

        return secure_sum.benchmark(several[0], clients=options.clients, repeat=options.repeat)
    if options.name == "flower":
        from benchmarks import flower

        against = _names(options.against, flower.PEERS, "peer")
        return flower.benchmark(several[0], clients=options.clients, repeat=options.repeat, against=against)
    if options.name == "aggregation":
        from benchmarks import aggregation

        against = _names(options.against, aggregation.PEERS, "peer")
        return aggregation.benchmark(several[0], repeat=options.repeat, against=against, python=options.python)
    if options.name == "learning":
        from benchmarks import learning

        (family,) = _names(options.family, learning.FAMILIES, "family") or (learning.FAMILIES[0],)
        against = _names(options.against, learning.PEERS, "peer")
        (model,) = _names(options.model, learning.MODELS, "model") or (learning.MODELS[0],)
        return learning.benchmark(
            several[0], columns=options.columns, model=model, family=family, repeat=options.repeat, against=against
        )
    from benchmarks import psi

    protocols = _names(options.protocol, psi.PROTOCOLS, "protocol")
    if not protocols:
        raise BenchmarkError(f"--protocol needs one of {', '.join(psi.PROTOCOLS)}")
    return psi.benchmark(
        several,
        protocols=protocols,
        learn=options.learn,
        link=options.link,
        repeat=options.repeat,
        against=_names(options.against, psi.PEERS, "peer"),
        files=options.files,
        python=options.python,
    )


def _names(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in wanted:
        if name not in known:
            raise BenchmarkError(f"no {what} {name!r} for this benchmark; there is {', '.join(known)}")
    return wanted


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return int(text)


def _svg(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".svg" or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .svg, in a folder that exists and is writable")
    return path


def _fail(error: str, message: str, *, as_json: bool, code: int = 1) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"error": error, "message": message}) + "\n")
    sys.stderr.write(f"benchmarks: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
