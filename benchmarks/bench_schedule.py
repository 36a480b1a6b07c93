"""How late is the end of a payment found, for so many looks? Schedules over a family of payers, beside the best.

Run: python -m benchmarks.bench_schedule [--histories 3] [--every 1] [--seed 0] [--json FILE] [--plot FILE]

A member of the family is a log-normal answer to a push prompt (with the operator's time-out, after which the
provider says "expired" within 5 s) or to a checkout page (which stays pending for ever), and a share that never
answers. Looks are counted over all payments, answered or not, until an end is found or the watch is over, which
takes 300 s for a prompt and 900 s for a page and has a last look. Delays are those of answered payments, from the
end to the look that finds it; those of expired prompts stand beside them. Every schedule but the best is jittered
by 10 % either way. "Best" is a bound for the member at hand at so many looks, with all its figures known before:
dynamic programming over every plan on a grid, for a price of a look, and weak duality over the prices.

"At 8 looks" compares with the best at 8; looks above 8 are charged for, as half the looks cost twice the delay.
The exit code is 1 where, after 1,000 payments, the learned schedule is more than 15 % above the best for any
member (the mean of its histories), at as many looks as it took or at 8.
"""

import argparse
import itertools
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from paymux.watch.schedule import Schedule

Floats: TypeAlias = npt.NDArray[np.float64]
Next = Callable[[float, int], float]

LIMIT = 1.15
POLLS = 8.0
JITTER = 0.1
LAG = 5.0  # seconds within which a provider tells that a prompt expired
SEEN = (0, 10, 30, 100, 300, 1000)
PATHS = 24  # jittered ways through a schedule
SHARES = (np.arange(300) + 0.5) / 300  # the payers of a way, from the quickest to the slowest


class Member:
    """A kind of payer, of operator and of provider, whose figures a schedule does not know."""

    def __init__(
        self, median: float, spread: float, never: float, expiry: float, first_look: float, horizon: float
    ) -> None:
        self.name = (
            f"{'prompt' if expiry < math.inf else 'page'}, median {median:g} s, spread {spread:g}, "
            f"{never:.0%} never, first look {first_look:g} s"
            + (f", expires at {expiry:g} s" if expiry < math.inf else "")
        )
        self.median, self.spread, self.never = median, spread, never
        self.expiry, self.first_look, self.horizon = expiry, first_look, horizon
        self.step = 0.25 if horizon <= 300 else 0.75
        self.ages: Floats = np.arange(0, horizon + self.step / 2, self.step)
        self.answered = np.minimum(self._law(self.ages), self._law(np.array([min(expiry, horizon)]))[0])
        self.paid = float(self.answered[-1])
        lost = 1 - self.paid if expiry < math.inf else 0.0
        self.ended = self.answered + lost * np.clip((self.ages - expiry) / LAG, 0, 1)
        self.lost = lost
        self.answers = np.interp(SHARES * self.paid, self.answered, self.ages)
        self._prices = [self._cheapest(price) for price in np.geomspace(0.002, horizon / 3, 50)]

    def _law(self, ages: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            scaled = (np.log(ages) - math.log(self.median)) / (self.spread * math.sqrt(2))
        return (1 - self.never) / 2 * (1 + np.array([math.erf(value) for value in scaled]))

    def _cheapest(self, price: float) -> tuple[float, float]:
        """Give a price of a look, and the least that delay and looks cost together with any plan."""
        ages, count = self.ages, len(self.ages)
        areas = (self.answered[1:] + self.answered[:-1]) / 2 * self.step
        waited = np.concatenate([[0.0], np.cumsum(areas)])
        heights = waited.copy()
        for now in range(count - 2, -1, -1):
            begin = now + 1 if now else int(self.first_look / self.step)
            later = slice(begin, count)
            lines = heights[later] - (ages[later] - ages[now]) * self.answered[now]
            heights[now] = price * (1 - self.ended[now]) + lines.min()
        return price, float(heights[0])

    def best(self, polls: float) -> float:
        """Give a bound: with so many looks no plan on the grid has a lower mean delay."""
        return float(max(cost - price * polls for price, cost in self._prices)) / self.paid

    def payment(self, chance: random.Random) -> tuple[float, bool]:
        """Draw when a payment ends, and whether because nobody answered in time."""
        end = math.inf
        if chance.random() >= self.never:
            end = chance.lognormvariate(math.log(self.median), self.spread)
        return (self.expiry + LAG * chance.random(), True) if end > self.expiry else (end, False)


class Found(NamedTuple):
    """What a schedule did for a member; seconds."""

    delay: float
    percentile: float  # the 95th
    polls: float
    expired: float  # the mean delay of finding that a prompt expired
    wasted: float  # looks at a payment that nobody answers


def family(every: int) -> list[Member]:
    """List prompts with the usual first look and with Daraja's, and checkout pages."""
    prompts = itertools.product(
        (2.0, 15.0), (10.0, 15.0, 22.0, 30.0, 45.0), (0.5, 0.8), (60.0, 120.0, 180.0), (0.05, 0.3)
    )
    pages = itertools.product((60.0, 120.0, 240.0), (0.6, 0.9), (0.1, 0.4))
    members = [
        Member(median, spread, never, expiry, first_look, 300.0)
        for first_look, median, spread, expiry, never in list(prompts)[::every]
    ]
    members += [Member(*page, math.inf, 10.0, 900.0) for page in list(pages)[::every]]
    return members


def ways(member: Member, following: Next, seed: int) -> Iterator[list[float]]:
    """Give jittered ways through a schedule; a watch ends with a last look."""
    chance = random.Random(seed)
    for _ in range(PATHS):
        looks: list[float] = []
        age = 0.0
        while age < member.horizon:
            gap = following(age, len(looks)) - age
            age = max(age + gap * chance.uniform(1 - JITTER, 1 + JITTER), member.first_look)
            looks.append(min(age, member.horizon))
        yield looks


def measure(member: Member, following: Next, seed: int = 0) -> Found:
    """Follow a schedule through every kind of end that the member knows."""
    expiries = member.expiry + LAG * (np.arange(20) + 0.5) / 20
    delays, late, polls, wasted = [], [], [], []
    for way in ways(member, following, seed):
        looks = np.array(way)
        index = np.searchsorted(looks, member.answers)
        delays.append(looks[index] - member.answers)
        spent = float((index + 1).mean())
        unanswered = float(len(looks))
        if member.lost:
            index = np.searchsorted(looks, expiries)
            late.append(float((looks[index] - expiries).mean()))
            unanswered = float((index + 1).mean())
        polls.append(member.paid * spent + (1 - member.paid) * unanswered)
        wasted.append(unanswered)
    every = np.concatenate(delays)
    return Found(
        float(every.mean()),
        float(np.percentile(every, 95)),
        statistics.fmean(polls),
        statistics.fmean(late) if late else math.nan,
        statistics.fmean(wasted),
    )


def fixed(gap: float, member: Member) -> Next:
    """Give a loop that looks every so many seconds."""
    return lambda age, _: max(age + gap, member.first_look)


def growing(first: float, factor: float, most: float, member: Member) -> Next:
    """Give gaps that grow by a factor up to the longest."""
    return lambda age, looked: age + min(most, first * factor ** (looked - 1)) if looked else member.first_look


def listed(looks: Sequence[float]) -> Next:
    """Give a schedule that is a list."""
    return lambda age, looked: max(looks[looked], age + 0.5) if looked < len(looks) else math.inf


def minimax(members: Sequence[Member], rounds: int = 150) -> list[float]:
    """Give the one list whose worst delay, beside the best for each member, is the least at 8 looks in the mean.

    The worst members get more weight each round, and dynamic programming gives the best list for the weights.
    """
    horizon, step = members[0].horizon, members[0].step * 2
    first_look = min(member.first_look for member in members)
    ages: Floats = np.arange(0, horizon + step / 2, step)
    pending = 1 - np.mean([np.interp(ages, member.ages, member.ended) for member in members], axis=0)
    bests = np.array([member.best(POLLS) for member in members])
    answered = np.array([np.interp(ages, member.ages, member.answered) / member.paid for member in members])
    weights = np.ones(len(members)) / len(members)
    price, worst, chosen = 0.01, math.inf, [horizon]
    for _ in range(rounds):
        share = (weights / bests) @ answered
        for _ in range(8):
            looks, spent = _plan(ages, share, pending, first_look, price)
            if abs(spent - POLLS) < 0.05:
                break
            price *= (spent / POLLS) ** 2
        lates = np.array([_delay(member, looks) for member in members]) / bests
        if abs(spent - POLLS) < 0.3 and lates.max() < worst:
            worst, chosen = float(lates.max()), looks
        weights = weights * np.exp(0.15 * (lates - lates.mean()) / lates.max())
        weights = weights / weights.sum()
    return chosen


def _plan(
    ages: Floats, share: Floats, pending: Floats, first_look: float, price: float
) -> tuple[list[float], float]:
    step, count = float(ages[1]), len(ages)
    heights = np.concatenate([[0.0], np.cumsum((share[1:] + share[:-1]) / 2 * step)])
    following = np.full(count, count - 1)
    for now in range(count - 2, -1, -1):
        begin = now + 1 if now else math.ceil(first_look / step)
        lines = heights[begin:] - (ages[begin:] - ages[now]) * share[now]
        following[now] = begin + int(lines.argmin())
        heights[now] = price * pending[now] + lines.min()
    looks, spent, now = [], 0.0, 0
    while now < count - 1:
        spent += float(pending[now])
        now = int(following[now])
        looks.append(float(ages[now]))
    return looks, spent


def _delay(member: Member, looks: Sequence[float]) -> float:
    times = np.array(looks)
    return float((times[np.searchsorted(times, member.answers)] - member.answers).mean())


def teach(schedule: Schedule, member: Member, payments: int, chance: random.Random) -> None:
    """Let payments pass that are looked at as planned, and tell the schedule of each what a watch would."""
    for _ in range(payments):
        end, expired = member.payment(chance)
        age, looked = 0.0, 0
        while True:
            gap = schedule.next(age, looked) - age
            look = max(age + gap * chance.uniform(1 - JITTER, 1 + JITTER), member.first_look)
            look, looked = min(look, member.horizon), looked + 1
            if end <= look or look >= member.horizon:
                schedule.answered(age, look if end <= look else math.inf, expired=expired)
                break
            age = look


def learned(
    member: Member, histories: int, seed: int, polls: float = POLLS, seen: Sequence[int] = SEEN
) -> dict[int, list[Found]]:
    """Measure the learning schedule in histories of its own, after so many payments each."""
    found: dict[int, list[Found]] = {count: [] for count in seen}
    for history in range(histories):
        chance = random.Random(f"{seed} {history} {member.name}")
        schedule = Schedule(member.first_look, member.horizon, polls)
        for before, count in itertools.pairwise((0, *seen)):
            teach(schedule, member, count - before, chance)
            found[count].append(measure(member, schedule.next, history))
    return found


def summary(results: Sequence[tuple[Member, Sequence[Found]]]) -> dict[str, Any]:
    """Put the figures of a schedule over the family together; the histories of a member count by their mean."""
    rows = []
    for member, founds in results:
        delay, polls = (statistics.fmean(getattr(found, name) for found in founds) for name in ("delay", "polls"))
        own = statistics.fmean(found.delay / member.best(found.polls) for found in founds)
        # Looks above 8 are charged for: half the looks cost twice the delay.
        strict = delay / member.best(POLLS) * max(1.0, polls / POLLS)
        rows.append((own, strict, delay, polls, member.name))
    singles = [found.delay / member.best(found.polls) for member, founds in results for found in founds]
    expired = [found.expired for member, founds in results for found in founds if member.lost]
    return {
        "above_best_worst": round(max(rows)[0] - 1, 4),
        "above_best_worst_member": max(rows)[4],
        "above_best_worst_single_history": round(max(singles) - 1, 4),
        "above_best_mean": round(statistics.fmean(row[0] for row in rows) - 1, 4),
        "above_best_at_8_worst": round(max(row[1] for row in rows) - 1, 4),
        "above_best_at_8_worst_member": max(rows, key=lambda row: row[1])[4],
        "above_best_at_8_mean": round(statistics.fmean(row[1] for row in rows) - 1, 4),
        "delay_mean": round(statistics.fmean(row[2] for row in rows), 3),
        "percentile_95_mean": round(
            statistics.fmean(found.percentile for _, founds in results for found in founds), 2
        ),
        "polls_mean": round(statistics.fmean(row[3] for row in rows), 2),
        "polls_most": round(max(row[3] for row in rows), 2),
        "unanswered_polls_mean": round(
            statistics.fmean(found.wasted for _, founds in results for found in founds), 2
        ),
        "expired_delay_mean": round(statistics.fmean(expired), 2) if expired else None,
    }


def draw(file: Path, members: Sequence[Member], chosen: Sequence[float], seed: int) -> dict[str, Any]:
    """Draw mean delay over mean looks for prompts; text stays text."""
    import matplotlib as mpl  # noqa: PLC0415 - only the chart needs it

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is set

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "paymux", "font.size": 10})
    budgets = (4.0, 5.0, 6.0, 8.0, 11.0, 15.0, 20.0, 26.0)

    def mean(schedules: Callable[[Member], Next]) -> tuple[float, float]:
        founds = [measure(member, schedules(member)) for member in members]
        return statistics.fmean(one.polls for one in founds), statistics.fmean(one.delay for one in founds)

    def ours(polls: float) -> tuple[float, float]:
        founds = [learned(member, 1, seed, polls, (1000,))[1000][0] for member in members]
        return statistics.fmean(one.polls for one in founds), statistics.fmean(one.delay for one in founds)

    curves = {
        "best possible for each payer": [
            (polls, statistics.fmean(member.best(polls) for member in members)) for polls in budgets
        ],
        "paymux, after 1,000 payments": [ours(polls) for polls in (4.0, 6.0, 8.0, 12.0, 20.0)],
        "fixed gap": [mean(partial(fixed, gap)) for gap in (2, 3, 5, 7, 10, 14)],
        "gaps x 1.5, up to 60 s": [mean(partial(growing, gap, 1.5, 60.0)) for gap in (1, 1.5, 2.5, 4, 6, 10)],
    }
    points = {
        "every 3 s": mean(partial(fixed, 3)),
        "10 s x 30": mean(partial(fixed, 10)),
        "best list": mean(lambda _: listed(chosen)),
        "paymux at 8": ours(8.0),
    }
    figure, axes = plt.subplots(figsize=(7, 4))
    for (name, curve), colour in zip(curves.items(), ("#888888", "#0b6e4f", "#c1440e", "#3b5b92"), strict=True):
        axes.plot(*zip(*curve, strict=True), "--" if name.startswith("best") else "-", color=colour, label=name)
    for name, (polls, delay) in points.items():
        axes.plot(polls, delay, "o", color="#0b6e4f" if "paymux" in name else "#222222", markersize=5)
        aside = (-72, -13) if "paymux" in name else (6, 5)
        axes.annotate(name, (polls, delay), xytext=aside, textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlim=(2.8, 30), xlabel="looks per payment, answered or not")
    axes.set_ylabel("mean delay until found, s")
    for axis, ticks in ((axes.xaxis, (3, 4, 6, 8, 12, 20, 30)), (axes.yaxis, (0.5, 1, 2, 3, 5, 8))):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_minor_locator(mpl.ticker.NullLocator())
    axes.set_title("Push prompts answered at medians of 10 to 45 s", fontsize=10)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
    return {"curves": curves, "points": points}


def groups(members: Sequence[Member]) -> list[list[Member]]:
    """Part the members by what a driver declares: the first look, and how long to watch."""
    kinds = sorted({(member.horizon, member.first_look) for member in members})
    return [[member for member in members if (member.horizon, member.first_look) == kind] for kind in kinds]


def show(table: dict[str, dict[str, Any]], members: int, histories: int) -> None:
    """Print the table, and the worst members of its last row."""
    print(f"{members} members, {histories} histories each; delays above the best possible, and what they are\n")
    print(f"{'':40} at as many looks    at 8 looks    looks a payment        delay   95 %  expired")
    print(f"{'':40}    mean   worst     mean   worst  mean  most  unanswered      s      s        s")
    for name, row in table.items():
        shares = [row[f"above_best{at}_{which}"] for at in ("", "_at_8") for which in ("mean", "worst")]
        cells = "{:7.1%} {:7.1%}  {:7.1%} {:7.1%}".format(*shares)
        print(
            f"{name:40} {cells} {row['polls_mean']:5.1f} {row['polls_most']:5.1f} "
            f"{row['unanswered_polls_mean']:11.1f} {row['delay_mean']:6.2f} {row['percentile_95_mean']:6.1f} "
            f"{row['expired_delay_mean'] or math.nan:8.1f}"
        )
    print(f"\nworst member: {row['above_best_worst_member']}; at 8 looks: {row['above_best_at_8_worst_member']}")


def main() -> None:
    """Print the table; exit 1 where the learned schedule is not within 15 % of the best for every member."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="take each so manieth member only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    members = family(options.every)
    lists = [minimax(group) for group in groups(members)]
    informed = {
        member.name: listed(chosen)
        for group, chosen in zip(groups(members), lists, strict=True)
        for member in group
    }
    rivals: dict[str, Callable[[Member], Next]] = {
        "every 3 s": partial(fixed, 3),
        "10 s x 30": partial(fixed, 10),
        "gaps x 1.5, from 2 s up to 15 s": partial(growing, 2, 1.5, 15),
        "best list for what the driver declares": lambda member: informed[member.name],
    }
    table = {
        name: summary([(member, [measure(member, rival(member))]) for member in members])
        for name, rival in rivals.items()
    }
    histories = [(member, learned(member, options.histories, options.seed)) for member in members]
    for count in SEEN:
        table[f"paymux, after {count:,} payments"] = summary(
            [(member, founds[count]) for member, founds in histories]
        )
    show(table, len(members), options.histories)
    last = table[f"paymux, after {SEEN[-1]:,} payments"]
    details = {
        member.name: {
            "best_at_8": round(member.best(POLLS), 3),
            **{name: measure(member, rival(member))._asdict() for name, rival in rivals.items()},
            **{f"paymux after {count}": [found._asdict() for found in founds[count]] for count in SEEN},
        }
        for member, founds in histories
    }
    report: dict[str, Any] = {"table": table, "members": details}
    if options.plot:
        usual = next(group for group in groups(members) if group[0].first_look == 2.0)
        report["chart"] = draw(options.plot, usual, lists[groups(members).index(usual)], options.seed)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    sys.exit(int(max(last["above_best_worst"], last["above_best_at_8_worst"]) > LIMIT - 1))


if __name__ == "__main__":
    main()
