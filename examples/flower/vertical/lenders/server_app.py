"""What runs at the server: it introduces the two, and sees what their roles return."""

from __future__ import annotations

import json
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fusion.flower import find_parties, introduce

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    lenders = find_parties(grid, ["bank", "partner"])
    # few flights: through this server, sealed
    shared = introduce(grid, lenders, "match", via="relay")
    # many: directly between the two
    fitted = introduce(grid, lenders, "model", via="tls")
    found = {"match": shared, "model": fitted}
    (Path(str(context.run_config["folder"])) / "found.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))
