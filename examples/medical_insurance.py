# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Pricing medical cover with a hospital
#
# A health insurer knows its members' plans, their age and what they claimed. A hospital knows how ill they are.
# Neither may hand its table over. Here they find the people they share, fit one model on the columns of both, and
# measure what the hospital's columns add. Both sides run in this one process, so that we can look at both.
#
# People, health, plans and claims are records of the RAND Health Insurance Experiment (1974 to 1982, public domain,
# from statsmodels). Identity numbers and dates of birth are synthetic.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.api as sm

import fusion
from fusion.learning import VerticalGLM, metrics
from fusion.scenarios import medical_insurance

tables = medical_insurance.data()
patients, insured = tables["hospital"], tables["insurer"]

# %% [markdown]
# ## What each side holds
#
# The hospital: an identity number, a date of birth, and health at enrolment.

# %%
health = ["physlm", "disea", "hlthg", "hlthf", "hlthp", "mhi"]
print(f"{len(patients):,} rows")
patients[["id_number", "birth_date", *health]].head(3)

# %% [markdown]
# The insurer: the same two keys under other names, the person, the plan, and the years insured with what happened in
# them.

# %%
own = ["coins", "idp", "lpi", "fmde", "income", "age", "sex"]
print(f"{len(insured):,} rows")
insured[["member_id", "born", "age", "sex", "income", "coins", "exposure", "visits", "claims"]].head(3)

# %% [markdown]
# Keys come as they do: old numbers of 15 digits, full-width digits, dates in three spellings. The kinds `cn_id` and
# `date` bring them into one form, and leave out rows whose number fails its checksum.
#
# ## Find the members, fit, predict
#
# Each side is a function of its channel to the other. Visits to a physician follow a Poisson model with the years
# insured as exposure. Seven people in ten are fitted on, the others judge; which is which both have agreed beforehand.


# %%
def hospital(peer):
    keys = {"id_number": "cn_id", "birth_date": "date"}
    rows = fusion.psi.intersect(peer, patients, on=keys, duplicates="first")
    fitting = (rows["cohort"] == "fit").to_numpy()
    model = VerticalGLM("poisson").fit(peer, rows.loc[fitting, health])
    model.predict(peer, rows.loc[~fitting, health])
    return rows, model


def insurer(peer):
    keys = {"member_id": "cn_id", "born": "date"}
    rows = fusion.psi.intersect(peer, insured, on=keys, duplicates="first")
    found = peer.receipt()
    train, test = rows[rows["sample"] == "fit"], rows[rows["sample"] != "fit"]
    alone = poisson(train[own], train)
    # visits scatter more than a Poisson variable does; this weight gives quasi-Poisson errors
    weight = np.full(len(train), alone.df_resid / alone.pearson_chi2)
    model = VerticalGLM("poisson")
    model.fit(peer, train[own], train["visits"], exposure=train["exposure"], weight=weight)
    fitted = peer.receipt()
    both = model.predict(peer, test[own], exposure=test["exposure"])
    by_itself = alone.predict(design(test[own]), offset=np.log(test["exposure"])).to_numpy()
    return rows, model, test, both, by_itself, (found, fitted)


def design(columns):
    return sm.add_constant(columns.assign(sex=columns["sex"].eq("male")).astype(float))


def poisson(columns, rows):
    """What one company does with columns in one place."""
    family = sm.families.Poisson()
    return sm.GLM(rows["visits"], design(columns), family=family, offset=np.log(rows["exposure"])).fit()


out = fusion.simulate(hospital=hospital, insurer=insurer)
rows, model, test, both, alone, receipts = out["insurer"]
print(f"{len(rows):,} people are known to both; {len(test):,} of them judge the model")

# %% [markdown]
# ## What comes out
#
# Each side holds the coefficients of its own columns, with standard errors. To compare them, the picture shows
# relativities: how many times as many visits for one standard deviation more, or for yes against no.

# %%
fitted = {"insurer": model.coefficients.drop("intercept"), "hospital": out["hospital"][1].coefficients}
columns = {"insurer": rows[own], "hospital": out["hospital"][0][health]}
words = {
    "coins": "coinsurance",
    "idp": "individual deductible",
    "lpi": "log incentive payment",
    "fmde": "log maximum expenditure",
    "physlm": "physical limitation",
    "disea": "chronic diseases",
    "hlthg": "health good",
    "hlthf": "health fair",
    "hlthp": "health poor",
    "mhi": "mental health",
    "sex[male]": "male",
}
figure, axes = plt.subplots(figsize=(7, 4.6))
names = [words.get(name, name) for table in fitted.values() for name in table.index]
line = 0
for party, colour in (("insurer", "#64748b"), ("hospital", "#0f766e")):
    table, label = fitted[party], f"held by the {party}"
    for name, each in table.iterrows():
        values = columns[party].get(name)
        step = 1.0 if values is None or values.isin((0, 1)).all() else values.std()
        middle, half = each["coef"] * step, 1.96 * each["std err"] * step
        axes.plot(np.exp([middle - half, middle + half]), [line, line], color=colour, lw=2)
        axes.plot(np.exp(middle), line, "o", color=colour, label=label)
        label, line = None, line + 1
axes.axvline(1, color="#94a3b8", lw=0.8, zorder=0)
axes.invert_yaxis()
axes.set(xscale="log", xlabel="relativity of visits, with its 95% interval")
axes.set_yticks(range(len(names)), names)
axes.tick_params(axis="y", length=0)
axes.set_xticks([0.8, 1, 1.25, 1.5, 2], ["0.8", "1", "1.25", "1.5", "2"])
axes.minorticks_off()
axes.spines[["top", "right", "left"]].set_visible(False)
axes.legend(frameon=False, loc="upper right")
figure.tight_layout()

# %% [markdown]
# ## How much do the hospital's columns add?
#
# Judged on the people that were not fitted on. D2 is the share of the deviance explained; Gini is that of the ordered
# Lorenz curve.

# %%
y, years = test["visits"].to_numpy(float), test["exposure"].to_numpy()
train = rows[rows["sample"] == "fit"]
rate = train["visits"].sum() / train["exposure"].sum()
quality = pd.DataFrame(
    {
        who: {
            "D2": metrics.d2(y, predicted, family="poisson", exposure=years, base=rate),
            "Gini": metrics.gini(y, predicted / years, exposure=years),
        }
        for who, predicted in (("insurer alone", alone), ("both sides' columns", both))
    }
)
gained, error = metrics.d2_gain(y, alone, both, family="poisson", exposure=years, base=rate)
print(f"D2 gained: {gained:.3f}, with a standard error of {error:.3f}")
quality.round(3)

# %% [markdown]
# The double lift puts people in order by how far the two predictions are apart. On the left the hospital's columns
# lower the expected visits most, on the right they raise them most. The line that follows the bars is right.

# %%
lift = metrics.double_lift(y, alone, both, exposure=years, bands=5)
rates = lift[["actual", "first", "second"]].div(lift["exposure"], axis=0)
figure, axes = plt.subplots(figsize=(7, 3.4))
place = np.arange(1, 6)
axes.bar(place, rates["actual"], color="#cde5e2", width=0.7, label="actual")
axes.plot(place, rates["first"], "s--", color="#64748b", label="insurer alone")
axes.plot(place, rates["second"], "o-", color="#0f766e", label="both sides' columns")
axes.set_xlabel("fifth of the people's years, by the ratio of the two predictions")
axes.set(ylabel="visits a year", xticks=place)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
figure.tight_layout()

# %% [markdown]
# ## Is it the same model?
#
# Put both tables in one place, as nobody is allowed to, and fit with statsmodels. Row *i* here and row *i* there are
# the same person, which is all the join it takes.

# %%
joined = pd.concat([rows.reset_index(drop=True), out["hospital"][0][health].reset_index(drop=True)], axis=1)
train = joined[joined["sample"] == "fit"]
pooled = poisson(train[own + health], train)
between = fitted["hospital"]["coef"][health]
table = pd.DataFrame({"in the clear": pooled.params[health], "between the parties": between})
table["difference"] = (table.iloc[:, 1] - table.iloc[:, 0]).map("{:.0e}".format)
assert np.allclose(table["in the clear"], table["between the parties"], atol=1e-5)
table.round(5)

# %% [markdown]
# ## Who learned what
#
# Every operation leaves a receipt. A plain alignment tells each side which of its own people the other one knows too:
# that needs these people's consent, or another basis in law, before it runs.

# %%
for what, receipt in zip(("finding the members", "fitting"), receipts, strict=True):
    print(f"{what}: {receipt.bytes_sent / 1e6:.1f} MB sent by the insurer")
    for party, sentences in receipt.learned.items():
        print(f"  {party} learned", *sentences, sep="\n    - ")

# %% [markdown]
# `fusion demo medical-insurance --report medical.html` runs the same between two processes, with the cost of claims
# (Tweedie) besides, and writes a page with all charts and receipts.
