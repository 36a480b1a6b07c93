"""Compare poll schedules: the delay until the end of a payment is found, and the number of polls.

Run: python -m benchmarks.bench_schedule [--every 1] [--json FILE] [--plot FILE]

The schedules are compared over 132 kinds of payers. Payers of one kind answer a push prompt or a
checkout page after a log-normal delay, and a share of them never answers. A prompt has the
operator's time-out, after which the provider reports "expired" within 5 s; a page stays pending for
ever. A watch takes 300 s for a prompt and 900 s for a page, and polls once more at its end. Polls
are counted over all payments, answered or not, until an end is found or the watch is over. Delays
are measured over answered payments, in seconds from the end to the poll that finds it. As in
`paymux.watch.poll_queue`, the clock of each payment runs up to a tenth fast or slow. Each kind of
payers has the same weight, in delays and in polls.

"Best fixed lists" have the least mean delay over all kinds for the same mean number of polls, with
one list for prompts and another for pages. They are found by exact dynamic programming over every
list of whole seconds, for a price of a poll that both lists share, and by bisection over the price.
"Best possible" is a bound that no list reaches: each kind of payers has its own plan, made with all
its figures known.

The exit code is 1 if the mean delay is more than 3 % above that of the best fixed lists with the
same number of polls.
"""

import argparse
import itertools
import json
import math
import statistics
import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from paymux.watch.schedule import Schedule

Floats: TypeAlias = npt.NDArray[np.float64]
Next = Callable[[float, int], float]  # as Schedule.next

LIMIT = 1.03
POLLS = 8.0
LAG = 5.0  # seconds within which a provider reports that a prompt expired
PROMPT, PAGE = 300.0, 900.0  # seconds of a watch
PACES = np.linspace(0.9, 1.1, 25)  # the speeds of the payments' clocks
PRICES = np.geomspace(0.02, 8.0, 36)  # of a poll, in seconds of delay
SHARES = (np.arange(300) + 0.5) / 300  # the payers of a kind, from the fastest to the slowest
BUDGETS = (4.0, 5.0, 6.0, 8.0, 11.0, 15.0, 20.0, 26.0)  # numbers of polls, for the curves


class Member:
    """One kind of payers, with its operator and provider; a schedule does not know its figures."""

    def __init__(
        self,
        median: float,
        spread: float,
        never: float,
        expiry: float,
        first_look: float,
        horizon: float,
    ) -> None:
        self.name = (
            f"{'prompt' if expiry < math.inf else 'page'}, median {median:g} s, spread {spread:g}, "
            f"{never:.0%} never, first look {first_look:g} s"
            + (f", expires at {expiry:g} s" if expiry < math.inf else "")
        )
        self.median, self.spread, self.never = median, spread, never
        self.expiry, self.first_look, self.horizon = expiry, first_look, horizon
        self.step = 0.25 if horizon <= PROMPT else 0.75
        self.ages: Floats = np.arange(0, horizon + self.step / 2, self.step)
        answered = np.minimum(self._law(self.ages), self._law(np.array([min(expiry, horizon)]))[0])
        self.paid = float(answered[-1])
        self.lost = 1 - self.paid if expiry < math.inf else 0.0
        self.ended = answered + self.lost * np.clip((self.ages - expiry) / LAG, 0, 1)
        self.answered = answered / self.paid  # share of the payments that are answered at all
        self.answers = np.interp(SHARES, self.answered, self.ages)
        self.expiries = expiry + LAG * (np.arange(20) + 0.5) / 20
        self.costs = np.array([self._cheapest(price) for price in PRICES])

    def _law(self, ages: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            scaled = (np.log(ages) - math.log(self.median)) / (self.spread * math.sqrt(2))
        return (1 - self.never) / 2 * (1 + np.array([math.erf(value) for value in scaled]))

    def _cheapest(self, price: float) -> float:
        """Return the minimum cost of delay and polls together, for a price of a poll."""
        ages, count = self.ages, len(self.ages)
        areas = (self.answered[1:] + self.answered[:-1]) / 2 * self.step
        heights = np.concatenate([[0.0], np.cumsum(areas)])
        for now in range(count - 2, -1, -1):
            begin = now + 1 if now else int(self.first_look / self.step)
            later = slice(begin, count)
            lines = heights[later] - (ages[later] - ages[now]) * self.answered[now]
            heights[now] = price * (1 - self.ended[now]) + lines.min()
        return float(heights[0])


Plan = Callable[[Member], Next]
KINDS: dict[str, Callable[[Member], bool]] = {
    "prompt": lambda member: member.horizon == PROMPT and member.first_look < 15,
    "prompt from 15 s": lambda member: member.horizon == PROMPT and member.first_look >= 15,
    "page": lambda member: member.horizon == PAGE,
}


def bound(members: Sequence[Member], polls: float) -> float:
    """Return a lower bound of the mean delay, for `polls` polls on average.

    It holds even if each kind of payers has its own plan. This is weak duality: for any price of a
    poll, no plans cost less than the cheapest ones.
    """
    costs = np.mean([member.costs for member in members], axis=0)
    return float(max(costs - PRICES * polls))


def family(every: int) -> list[Member]:
    """List the kinds of payers: prompts, with the usual first poll and Daraja's, and pages."""
    prompts = itertools.product(
        (2.0, 15.0), (10.0, 15.0, 22.0, 30.0, 45.0), (0.5, 0.8), (60.0, 120.0, 180.0), (0.05, 0.3)
    )
    pages = itertools.product((60.0, 120.0, 240.0), (0.6, 0.9), (0.1, 0.4))
    members = [
        Member(median, spread, never, expiry, first_look, PROMPT)
        for first_look, median, spread, expiry, never in list(prompts)[::every]
    ]
    return members + [Member(*page, math.inf, 10.0, PAGE) for page in list(pages)[::every]]


# Schedules and their results.


class Found(NamedTuple):
    """The result of a schedule for one kind of payers, in seconds."""

    delay: float
    percentile: float  # the 95th
    polls: float
    expired: float  # the mean delay until an expired prompt is found
    unanswered: float  # polls of a payment that its payer never answers


def way(member: Member, following: Next, pace: float) -> Floats:
    """Return the ages of a payment at all its polls, as the poll queue plans them."""
    looks = [max(following(0.0, 0), member.first_look)]
    while looks[-1] < member.horizon:
        looks.append(max(following(looks[-1] / pace, len(looks)) * pace, member.first_look))
    return np.array([*looks[:-1], member.horizon])


def measure(member: Member, following: Next) -> Found:
    """Measure a schedule over all ends that payers of one kind have."""
    delays, late, polls, unanswered = [], [], [], []
    for pace in PACES:
        looks = way(member, following, pace)
        index = np.searchsorted(looks, member.answers)
        delays.append(looks[index] - member.answers)
        spent, wasted = float((index + 1).mean()), float(len(looks))
        if member.lost:
            index = np.searchsorted(looks, member.expiries)
            late.append(float((looks[index] - member.expiries).mean()))
            wasted = float((index + 1).mean())
        polls.append(member.paid * spent + (1 - member.paid) * wasted)
        unanswered.append(wasted)
    every = np.concatenate(delays)
    return Found(
        float(every.mean()),
        float(np.percentile(every, 95)),
        statistics.fmean(polls),
        statistics.fmean(late) if late else math.nan,
        statistics.fmean(unanswered),
    )


def fixed(gap: float, _: Member) -> Next:
    """Return a schedule that polls every `gap` seconds."""
    return lambda age, _: age + gap


def growing(first: float, factor: float, most: float, member: Member) -> Next:
    """Return a schedule whose gaps grow by a factor, up to the longest gap."""

    def following(age: float, looked: int) -> float:
        if not looked:
            return member.first_look
        return age + min(most, first * factor ** (looked - 1))

    return following


def listed(lists: dict[float, list[float]], member: Member) -> Next:
    """Return a schedule from a list of ages."""
    looks = [*lists[member.horizon], math.inf]
    return lambda age, looked: looks[bisect_right(looks, age + 1.0) if looked else 0]


def ours(member: Member) -> Next:
    """Return the schedule of paymux."""
    return Schedule(member.first_look, member.horizon).next


# The best fixed lists.


class Group:
    """Kinds of payers with the same first poll and the same length of a watch.

    It has averages over the clocks of all payments, by age in whole seconds: the share that is
    answered, the seconds waited until then, and the share that is still pending. A poll before the
    first useful one counts as a poll at that age.
    """

    def __init__(self, members: Sequence[Member], everyone: int) -> None:
        first_look, horizon = members[0].first_look, members[0].horizon
        grid = np.arange(horizon + 1)
        answered = np.zeros(len(grid))
        ended = np.zeros(len(grid))
        for member, pace in itertools.product(members, PACES[::4]):
            answered += pace * np.interp(grid * pace, member.ages, member.answered)
            ended += np.interp(grid * pace, member.ages, member.ended)
        answered, ended = (total / len(members) / len(PACES[::4]) for total in (answered, ended))
        waited = np.concatenate([[0.0], np.cumsum((answered[1:] + answered[:-1]) / 2)])
        met = np.maximum(grid, first_look).astype(int)
        met[0] = 0
        self.weight = len(members) / everyone
        self.ages, self.answered, self.waited = grid[met], answered[met], waited[met]
        self.pending = 1 - ended[met]

    def costs(self, now: int, price: float) -> Floats:
        """Return the costs of the next poll at each later age, after a poll at this age."""
        gaps = self.ages[now + 1 :] - self.ages[now]
        waited = self.waited[now + 1 :] - self.waited[now] - gaps * self.answered[now]
        cost: Floats = self.weight * (price * self.pending[now] * (gaps > 0) + waited)
        return cost


def cheapest_list(groups: Sequence[Group], price: float) -> tuple[list[float], float]:
    """Return the cheapest list for these groups, and its polls: computed from the end."""
    last = len(groups[0].ages) - 1
    heights, following = np.zeros(last + 1), np.full(last + 1, last)
    for now in range(last - 1, -1, -1):
        costs = heights[now + 1 :] + sum(group.costs(now, price) for group in groups)
        # Of gaps with the same cost, take the longest: if nothing is pending, all cost the same.
        following[now] = last - int(costs.round(7)[::-1].argmin())
        heights[now] = costs[following[now] - now - 1]
    looks, spent, now = [], 0.0, 0
    while now < last:
        later = int(following[now])
        met = [group for group in groups if group.ages[later] > group.ages[now]]
        spent += sum(group.weight * float(group.pending[now]) for group in met)
        now = later
        looks.append(float(now))
    return looks, spent


def best_lists(groups: dict[float, list[Group]], polls: float) -> dict[float, list[float]]:
    """Return the best list for each length of a watch, with `polls` polls on average."""
    low, high = float(PRICES[0]), float(PRICES[-1])
    for _ in range(20):
        price = math.sqrt(low * high)
        spent = sum(cheapest_list(alike, price)[1] for alike in groups.values())
        low, high = (price, high) if spent > polls else (low, price)
    return {horizon: cheapest_list(alike, high)[0] for horizon, alike in groups.items()}


def groups_of(members: Sequence[Member]) -> dict[float, list[Group]]:
    """Group the kinds of payers by the length of a watch and the first poll."""
    kinds = sorted({(member.horizon, member.first_look) for member in members})
    groups: dict[float, list[Group]] = {horizon: [] for horizon, _ in kinds}
    for kind in kinds:
        alike = [member for member in members if (member.horizon, member.first_look) == kind]
        groups[kind[0]].append(Group(alike, len(members)))
    return groups


# The report.


def means(founds: Sequence[Found]) -> tuple[float, float]:
    """Return the mean polls and the mean delay over all kinds of payers."""
    polls = statistics.fmean(one.polls for one in founds)
    return polls, statistics.fmean(one.delay for one in founds)


def summary(members: Sequence[Member], founds: Sequence[Found]) -> dict[str, Any]:
    """Return the figures of a schedule over all kinds of payers."""
    pairs = list(zip(members, founds, strict=True))
    polls, delay = means(founds)
    shares = [(one.delay / bound([member], one.polls), member.name) for member, one in pairs]
    worst, name = max(shares)
    expired = [one.expired for member, one in pairs if member.lost]
    kinds = {
        kind: means([one for member, one in pairs if alike(member)])
        for kind, alike in KINDS.items()
        if any(map(alike, members))
    }
    return {
        **kinds,
        "delay": round(delay, 3),
        "polls": round(polls, 2),
        "above_best_possible": round(delay / bound(members, polls) - 1, 4),
        "worst_above_best_possible": round(worst - 1, 4),
        "worst_member": name,
        "percentile_95": round(statistics.fmean(one.percentile for one in founds), 2),
        "polls_most": round(max(one.polls for one in founds), 1),
        "unanswered_polls": round(statistics.fmean(one.unanswered for one in founds), 1),
        "expired_delay": round(statistics.fmean(expired), 2),
    }


def show(table: dict[str, dict[str, Any]], members: int) -> None:
    """Print the table."""
    print(f"\n{members} kinds of payers, each of which counts the same")
    print(f"\n{'':32}         delay  above best   worst    95 %  expired")
    print(f"{'':32} looks      s    possible    kind       s        s   looks and delay of kinds")
    for name, row in table.items():
        kinds = ", ".join(f"{kind} {row[kind][0]:.1f} {row[kind][1]:.2f} s" for kind in KINDS)
        print(
            f"{name:32} {row['polls']:5.2f} {row['delay']:6.2f} {row['above_best_possible']:11.1%} "
            f"{row['worst_above_best_possible']:7.0%} {row['percentile_95']:7.1f} "
            f"{row['expired_delay']:8.1f}   {kinds}"
        )


def draw(
    file: Path, members: Sequence[Member], groups: dict[float, list[Group]], rivals: dict[str, Plan]
) -> dict[str, Any]:
    """Draw the mean delay over the mean number of polls; text in the SVG stays text."""
    import matplotlib as mpl  # noqa: PLC0415 - only the chart needs it

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is set

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "paymux", "font.size": 10})

    def mean(plan: Plan) -> tuple[float, float]:
        return means([measure(member, plan(member)) for member in members])

    curves = {
        "each payer known beforehand": [(polls, bound(members, polls)) for polls in BUDGETS],
        "best fixed lists": [mean(partial(listed, best_lists(groups, polls))) for polls in BUDGETS],
        "fixed gap": [mean(partial(fixed, gap)) for gap in (2, 3, 5, 7, 10, 14, 20)],
        "gaps x 1.5, up to 60 s": [
            mean(partial(growing, first, 1.5, 60.0)) for first in (1, 1.5, 2.5, 4, 6, 10, 15)
        ],
    }
    points = {name: mean(rivals[name]) for name in ("paymux", "every 10 s")}
    figure, axes = plt.subplots(figsize=(7, 4))
    colours = ("#888888", "#0b6e4f", "#c1440e", "#3b5b92")
    for (name, curve), colour in zip(curves.items(), colours, strict=True):
        line = "--" if name.startswith("each") else "-"
        axes.plot(*zip(*curve, strict=True), line, color=colour, label=name)
    for name, (polls, delay) in points.items():
        colour = "#0b6e4f" if name == "paymux" else "#222222"
        axes.plot(polls, delay, "o", color=colour, markersize=5)
        axes.annotate(name, (polls, delay), xytext=(6, 5), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlim=(3.8, 30))
    axes.set_xlabel("looks per payment, answered or not")
    axes.set_ylabel("mean delay until found, s")
    for axis, ticks in ((axes.xaxis, (4, 6, 8, 12, 20, 30)), (axes.yaxis, (1, 2, 3, 5, 8, 12))):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_minor_locator(mpl.ticker.NullLocator())
    axes.set_title(f"The mean over {len(members)} kinds of payers", fontsize=10)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
    return {"curves": curves, "points": points}


def main() -> None:
    """Print the table; exit 1 if paymux is not within 3 % of the best fixed lists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take only every nth kind of payers")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    members = family(options.every)
    groups = groups_of(members)
    found = [measure(member, ours(member)) for member in members]
    polls, delay = means(found)
    for horizon, looks in best_lists(groups, POLLS).items():
        print(f"best fixed list for {horizon:g} s, at {POLLS:g} looks:", *map(round, looks))
    rivals: dict[str, Plan] = {
        "every 3 s": partial(fixed, 3),
        "every 10 s": partial(fixed, 10),
        "gaps x 1.5, from 2 s up to 15 s": partial(growing, 2, 1.5, 15),
        "best fixed lists, as many looks": partial(listed, best_lists(groups, polls)),
        "paymux": ours,
    }
    table = {
        name: summary(members, [measure(member, rival(member)) for member in members])
        for name, rival in rivals.items()
    }
    show(table, len(members))
    report: dict[str, Any] = {"table": table}
    if options.plot:
        report["chart"] = draw(options.plot, members, groups, rivals)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    sys.exit(int(delay > LIMIT * table["best fixed lists, as many looks"]["delay"]))


if __name__ == "__main__":
    main()
