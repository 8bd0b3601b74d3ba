# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First steps
#
# A hospital and an insurer know some of the same people. Neither may hand its table to the other. Here both sides run
# in one process, so that we can look at both; between two companies each would run its own half.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import fusion

random = np.random.default_rng(11)
numbers = pd.Series(random.permutation(30_000)[:9_000]).map("P{:06d}".format).to_numpy()
patients = pd.DataFrame({"id": numbers[:6_000], "bmi": random.normal(26, 4, 6_000).round(1)})
patients["smokes"] = random.random(6_000) < 0.25
insured = pd.DataFrame({"policy_holder": numbers[2_000:], "age": random.integers(18, 80, 7_000)})
insured["years"] = random.uniform(0.3, 1.0, 7_000).round(2)
patients.head(3)

# %% [markdown]
# The insurer also holds what is to be explained: the claims of each person. We make them depend on both tables.

# %%
known = insured.merge(patients, left_on="policy_holder", right_on="id", how="left")
risk = 0.05 * (known.bmi.fillna(26) - 26) + 0.5 * known.smokes.eq(True) + 0.012 * known.age - 2
insured["claims"] = random.poisson(np.exp(risk) * insured.years)
insured.head(3)

# %% [markdown]
# ## Who do both know?
#
# Both sides call the same function, each with its own table. Columns may be called differently. A *role* is a function
# of its channel to the other side; `simulate` runs both.

# %%
out = fusion.simulate(
    hospital=lambda peer: fusion.psi.intersect(peer, patients, on={"id": "text"}),
    insurer=lambda peer: fusion.psi.intersect(peer, insured, on={"policy_holder": "text"}),
)
pd.concat([out["hospital"], out["insurer"]], axis=1).head(3)  # nobody could print this line at one of the two

# %% [markdown]
# Row *i* here and row *i* there are the same person. The order says nothing about either table.
#
# Every operation leaves a receipt: what was computed, how much was sent, and what each side learned.


# %%
def at_the_insurer(peer):
    fusion.psi.intersect(peer, insured, on={"policy_holder": "text"}, learn="insurer")
    return peer.receipt()


def at_the_hospital(peer):
    return fusion.psi.intersect(peer, patients, on={"id": "text"}, learn="insurer")


out = fusion.simulate(hospital=at_the_hospital, insurer=at_the_insurer)
receipt = out["insurer"]
print("the hospital got:", out["hospital"])
print("protocol:", receipt.parameters["protocol"], "| bytes sent:", receipt.bytes_sent)
receipt.learned

# %% [markdown]
# ## A model of both sides' columns
#
# Claims follow a Poisson distribution, with the years insured as exposure. The insurer has the label; the hospital has
# columns that matter. `VerticalGLM` fits both without a row leaving.

# %%
from fusion.learning import VerticalGLM


def insurer(peer):
    rows = fusion.psi.intersect(peer, insured, on={"policy_holder": "text"})
    model = VerticalGLM("poisson").fit(peer, rows[["age"]], rows["claims"], exposure=rows["years"])
    return model, rows, model.predict(peer, rows[["age"]], exposure=rows["years"])


def hospital(peer):
    rows = fusion.psi.intersect(peer, patients, on={"id": "text"})
    model = VerticalGLM("poisson").fit(peer, rows[["bmi", "smokes"]])
    model.predict(peer, rows[["bmi", "smokes"]])
    return model


out = fusion.simulate(insurer=insurer, hospital=hospital)
model, rows, expected = out["insurer"]
print(model.summary())

# %% [markdown]
# Each side gets the coefficients of its own columns in their own units. The hospital's:

# %%
out["hospital"].coefficients.round(4)

# %% [markdown]
# How good is it? The insurer sorts its people by expected claims and compares tenths.

# %%
tenth = pd.Series(expected).rank(method="first").mul(10 / len(rows)).sub(1e-9).astype(int)
by_tenth = pd.DataFrame({"expected": expected, "actual": rows["claims"].to_numpy()}).groupby(tenth).mean()
figure, axes = plt.subplots(figsize=(6.5, 3.2))
axes.bar(by_tenth.index + 1, by_tenth.actual, color="#99c2bd", label="actual")
axes.plot(by_tenth.index + 1, by_tenth.expected, color="#0f766e", marker="o", label="expected")
axes.set(xlabel="tenth of the people, by expected claims", ylabel="claims a person", xticks=range(1, 11))
axes.legend(frameon=False)
figure.tight_layout()

# %% [markdown]
# ## What did that reveal?

# %%
for role, sentences in model.leakage().items():
    print(f"the {role} party learned:")
    print(*sentences, sep="\n", end="\n\n")
