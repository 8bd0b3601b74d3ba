# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What a book of weather policies would have paid
#
# An index policy pays by the weather: so much for each degree above 35, so much for each millimetre of rain that did
# not fall. To price a book, an insurer must know what it would have paid in each of many years. The weather bureau has
# the years, the insurer has the book. The insurer encrypts its sums insured; the bureau weighs them by what each cell
# would have paid, without reading one; only the insurer can read the totals.
#
# The policies are 645 rice farmers of Cai, de Janvry and Sadoulet (2015, from causaldata), the weather that of seven
# stations in Britain and America (from aquacrop). **That the Chinese villages lie beside these stations is
# illustrative, and so are places, sums insured and losses.**

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import fusion
from fusion.errors import PolicyError
from fusion.scenarios import weather_insurance
from fusion.scenarios.weather.allowance import Allowance
from fusion.scenarios.weather.basis import Sums, basis, moments
from fusion.scenarios.weather.burn import burn
from fusion.scenarios.weather.design import both_query, design, portfolio_query, together_query
from fusion.scenarios.weather.offer import publish, read
from fusion.scenarios.weather.products import Product, fit_layer
from fusion.scenarios.weather.record import Record
from fusion.scenarios.weather.totals import answer, ask

tables = weather_insurance.data()
stations, weather = tables["bureau"]["stations"], tables["bureau"]["weather"]
policies, losses = tables["insurer"]["policies"], tables["insurer"]["losses"]

# %% [markdown]
# ## What each side holds
#
# The bureau: daily weather of each of its stations.

# %%
print(f"{len(weather):,} days at {len(stations)} stations")
weather.head(3)

# %% [markdown]
# The insurer: policies with a place, a product and a sum insured.

# %%
print(f"{len(policies)} policies, {policies['sum_insured'].sum():,} yuan")
policies[["policy", "latitude", "longitude", "product", "area_mu", "sum_insured"]].head(3)

# %% [markdown]
# ## A product is data
#
# Both sides know the terms from their contract. Places become cells of a grid that both state: half-open cells of a
# quarter of a degree, WGS-84.

# %%
grid, heat = weather_insurance.GRID, weather_insurance.RICE_HEAT
stations = stations.assign(cell=grid.cells(stations["latitude"], stations["longitude"], crs="WGS-84"))
stations = stations.sort_values("cell", ignore_index=True)
record = Record.build(
    weather["date"].to_numpy(),
    stations.set_index("station").index.get_indexer(weather["station"]),
    {"tmin": weather["tmin_c"], "tmax": weather["tmax_c"], "rain": weather["rain_mm"]},
    cells=len(stations),
    day_ends=heat.day_ends,
)
layer = fit_layer(weather_insurance.RAIN_INDEX.seasons(record).values)
source = "trigger and exit are percentiles of each cell's own years"
rain = Product("rain-deficit", weather_insurance.RAIN_INDEX, layer, heat.day_ends, source)
print(grid)
print(*heat.terms.split(". "), sep="\n")

# %% [markdown]
# The heat index of Champion, the one station that is hot enough. It reaches the trigger in 9 of 37 years.

# %%
seasons = heat.seasons(record)
champion = stations.index[stations["place"] == "Champion"][0]
index = pd.Series(seasons.values[:, champion], seasons.years).dropna()
trigger = heat.schedule.least[0]
figure, axes = plt.subplots(figsize=(7, 3))
axes.bar(index.index, index, color=np.where(index >= trigger, "#b45309", "#e7d3bd"))
axes.axhline(trigger, color="#78350f", lw=1)
axes.text(2013, trigger + 0.8, f"pays from {trigger:g} up", color="#78350f")
axes.set(ylabel="degrees above 35 °C", title="Heat index of Champion")
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()

# %% [markdown]
# ## One total a season
#
# The insurer adds up its sums insured by product and cell, zeros included: every book has the same size. It encrypts
# that column under a key of its own. The bureau multiplies by what it would have paid in thousandths, adds noise
# within half a step of 1,000 yuan, and sends back one ciphertext a season. It counts what each insurer has had:
# `Allowance`.

# %%
known = design(
    record,
    [heat, rain],
    grid=grid,
    cells=stations["cell"].to_numpy(),
    places=stations["place"].tolist(),
    step=1000,
    basis_place="Cambridge",
    basis_step=10,
)
allowance = Allowance(2)


def bureau(peer):
    publish(peer, known.offer)  # cells, products, seasons and a price sheet
    answer(peer, portfolio_query(known.offer), known.payouts, allowance=allowance)
    return peer.receipt()


def insurer(peer):
    offer = read(peer)
    cells = grid.cells(policies["latitude"], policies["longitude"], crs="WGS-84")
    rows = pd.MultiIndex.from_product([offer.products, offer.cells])
    book = policies["sum_insured"].groupby([policies["product"], cells]).sum().reindex(rows, fill_value=0)
    totals = ask(peer, portfolio_query(offer), book.to_numpy())
    # less than half a step cannot be told from nothing
    return pd.Series(np.where(totals > 500_000, totals / 1000, 0), offer.years), book, peer.receipt()


out = fusion.simulate(bureau=bureau, insurer=insurer)
paid, book, receipt = out["insurer"]

# %% [markdown]
# ## Burn analysis
#
# The burn rate is the mean yearly payout, the pure premium. The worst years make the price: the cells dry up in the
# same summers.

# %%
insured = policies["sum_insured"].sum()
burned = burn(paid.to_numpy()[:, None], insured, names=["portfolio"]).iloc[0]
figure, axes = plt.subplots(figsize=(7, 3))
axes.bar(paid.index, paid / insured, color="#7fb3d5")
for name, colour in (("burn rate", "#1f4e79"), ("1 in 10 years", "#b45309")):
    axes.axhline(burned[name], color=colour, lw=1, ls="--")
    axes.text(2004, burned[name] + 0.02, f"{name}: {burned[name]:.1%}", color=colour, ha="center")
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.set(ylabel="share of the sum insured", title="What the book would have paid")
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
burned.drop("years").map("{:.1%}".format).to_frame().T

# %% [markdown]
# ## Is it right?
#
# In the clear it is one product of a matrix with a vector, if one could see both. Each total is within half a step.

# %%
clear = known.payouts @ book.to_numpy() / 1000
table = pd.DataFrame({"in the clear": clear, "between the parties": paid}).round(0).astype(int)
assert (table.diff(axis=1).iloc[:, 1].abs() <= 501).all()
table[clear > 1e5].head(5)  # yuan

# %% [markdown]
# ## Basis risk
#
# What if five places were settled on the index of Cambridge alone? The insurer encrypts its losses by place and year
# and gets two sums a place: of payout times loss, and of years with both. Everything else about basis risk follows.
# Nearer is not always better: summer rain is local.


# %%
others = [place for place in known.offer.places if place != known.offer.basis_place]
years = known.offer.basis_years
where = stations.set_index("cell")["place"]
cells = grid.cells(losses["latitude"], losses["longitude"], crs="WGS-84")
lost = losses.assign(place=where[cells].to_numpy()).pivot(index="year", columns="place", values="lost")
lost = lost.reindex(index=years, columns=others).fillna(0)
thousandths = (lost * 1000).round().astype(int).to_numpy()


def bureau_again(peer):
    answer(peer, together_query(known.offer), known.together(), allowance=allowance)
    answer(peer, both_query(known.offer), known.both(), allowance=allowance)


def insurer_again(peer):
    column = thousandths.T.ravel()
    together = ask(peer, together_query(known.offer), column)
    return together, ask(peer, both_query(known.offer), (column > 0).astype(int)) // 1000


together, both = fusion.simulate(bureau=bureau_again, insurer=insurer_again)["insurer"]
each = np.ones(len(others), int)
published = [each * moment for moment in known.offer.basis_moments]
sums = Sums(each * len(years), *published, *moments(thousandths), together, both)
risk = basis(sums, others)[lost.any().to_numpy()]
risk.round(2)

# %%
at = dict(zip(known.offer.places, known.offer.cells, strict=True))
distance = grid.distances(at["Cambridge"], [at[place] for place in risk.index])
figure, axes = plt.subplots(figsize=(7, 3.2))
axes.scatter(distance, risk["correlation"], s=60, color="#0f766e", zorder=2)
for place, km, correlation in zip(risk.index, distance, risk["correlation"], strict=True):
    above = 8 if place != "Norfolk" else -17
    axes.annotate(place, (km, correlation), (0, above), textcoords="offset points", ha="center")
axes.set(xlabel="distance from Cambridge, km", ylabel="correlation of payout and loss", ylim=(0.6, 1))
axes.margins(x=0.15)
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()

# %% [markdown]
# ## Who learned what
#
# Each total is one equation about the weather, so the number of totals is limited. A third request for the same
# seasons is refused before the bureau reads anything.

# %%
print(f"the totals: {receipt.bytes_sent:,} bytes from the insurer, {receipt.bytes_received:,} back")
for party, sentences in receipt.learned.items():
    print(f"  {party} learned", *sentences, sep="\n    - ")
fusion.simulate(bureau=bureau, insurer=insurer)
try:
    fusion.simulate(bureau=bureau, insurer=insurer)
except PolicyError as error:
    print("\nthe third time:", error)

# %% [markdown]
# `fusion demo weather-insurance --report weather.html` runs the same between two processes.
