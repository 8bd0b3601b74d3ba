# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own two machines
#
# Here the two parties are what they will be: two processes that share nothing but a network, with a key each. They run
# on this machine; on two, only the address changes.

# %%
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

work = Path(tempfile.mkdtemp())
pd.DataFrame({"phone": ["13800138000", "+86 139 0013 9000", "13700137000"], "visits": [3, 1, 2]}).to_csv(
    work / "patients.csv", index=False
)
pd.DataFrame({"mobile": [13900139000, 13700137000, 13600136000], "premium": [480, 95, 60]}).to_csv(
    work / "policies.csv", index=False
)


plain = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}  # set by notebooks


def fusion(*words):
    """The command `fusion`, started in the folder that plays both companies."""
    return subprocess.Popen(
        [sys.executable, "-m", "fusion", *words],
        cwd=work,
        env=plain,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# %% [markdown]
# ## 1. A key each
#
# The file stays where it was made. The fingerprint goes to the other side, by telephone.

# %%
fingerprints = {}
for name in ("hospital", "insurer"):
    answer = json.loads(fusion("keygen", name, "--json").communicate()[0])
    fingerprints[name] = answer["fingerprint"]
    print(name, answer["fingerprint"][:24], "...")

# %% [markdown]
# ## 2. A file each
#
# One of the two listens, the other dials. Only the listening side opens a port.

# %%
import socket

with socket.socket() as probe:  # any free port will do here
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]

(work / "insurer.toml").write_text(f'''
name = "insurer"
identity = "insurer.key"
listen = "127.0.0.1:{port}"

[peers.hospital]
fingerprint = "{fingerprints["hospital"]}"
''')
(work / "hospital.toml").write_text(f'''
name = "hospital"
identity = "hospital.key"

[peers.insurer]
fingerprint = "{fingerprints["insurer"]}"
address = "127.0.0.1:{port}"
''')
print((work / "hospital.toml").read_text())

# %% [markdown]
# ## 3. Does the other side answer?

# %%
checks = [
    fusion("doctor", "--config", f"{name}.toml", "--peer", peer)
    for name, peer in (("insurer", "hospital"), ("hospital", "insurer"))
]
for check in checks:
    print(*check.communicate()[0].splitlines()[-4:], sep="\n")

# %% [markdown]
# ## 4. The operation
#
# The same command on both sides, in either order. Each names its own columns.

# %%
at_the_insurer = fusion(
    *("psi", "intersect", "--config", "insurer.toml", "--peer", "hospital"),
    *("--table", "policies.csv", "--on", "mobile:phone", "--out", "matched_policies.csv"),
)
at_the_hospital = fusion(
    *("psi", "intersect", "--config", "hospital.toml", "--peer", "insurer"),
    *("--table", "patients.csv", "--on", "phone:phone", "--out", "matched_patients.csv"),
)
print(at_the_insurer.communicate()[0])
print(at_the_hospital.communicate()[0])

# %% [markdown]
# Row *i* of one file and row *i* of the other are the same person:

# %%
pd.concat([pd.read_csv(work / f"matched_{what}.csv", dtype=str) for what in ("patients", "policies")], axis=1)

# %% [markdown]
# ## 5. The same in Python
#
# Each side, in its own process: `with fusion.connect("insurer.toml", peer="hospital") as peer:` and then any function
# of this library with `peer` as its first argument.
