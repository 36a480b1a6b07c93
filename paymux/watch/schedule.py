"""When to look at a pending payment: fixed ages, those that find the end of payments soonest.

`benchmarks/bench_schedule.py` finds these ages, and measures them beside other schedules.
"""

from bisect import bisect_right

MIN_GAP_SECONDS = 1.0  # seconds between two looks at one payment
MAX_GAP_SECONDS = 300.0  # seconds between two looks at a payment that has been pending for long

# Ages in seconds. For a prompt on a phone, answered at a median of 10 to 45 s:
PROMPT: tuple[int, ...] = (
    *(9, 14, 19, 23, 28, 33, 38, 43, 49, 55, 62, 70, 79, 89, 100, 114, 130, 151, 179, 206, 250),
    300,
)
# For a checkout page, paid at a median of 60 to 240 s:
PAGE: tuple[int, ...] = (
    *(27, 39, 50, 61, 72, 83, 94, 105, 116, 128, 140, 152, 165, 178, 191, 205, 219, 234, 249),
    *(265, 281, 298, 316, 334, 353, 373, 394, 416, 439, 464, 490, 518, 548, 580, 614, 651, 691),
    *(735, 783, 836, 900),
)


class Schedule:
    """Tells when to look at the payments of one account.

    `first_look` is the age of a payment at the first useful look, `watch_timeout` the age up to
    which its driver watches; both in seconds. What is watched for longer than the list of prompts
    lasts is paid on a page.
    """

    def __init__(self, first_look: float, watch_timeout: float = PROMPT[-1]) -> None:
        looks = PAGE if watch_timeout > PROMPT[-1] else PROMPT
        first = max(first_look, looks[0])
        self._ages = [0.0, first, *(look for look in looks if look >= first + MIN_GAP_SECONDS)]

    def next(self, age: float, looked: int) -> float:
        """Give the age in seconds for the next look, from the age now and the looks so far.

        The first look at a payment that is old enough is now, at `age` itself; any other is at
        least MIN_GAP_SECONDS away. After a look between two ages of the list, the next one is as
        far between the following two: what waits for its turn keeps the gaps of its age.
        """
        ages = self._ages
        if not looked:
            return max(age, ages[1])
        index = max(bisect_right(ages, age), 1)
        if index == len(ages):
            # When its end comes, if ever, nobody knows; one taken up again gets a few looks soon.
            return age + min(
                MAX_GAP_SECONDS, max(MIN_GAP_SECONDS, age / 4), 20 * 1.5 ** min(looked, 10)
            )
        before, after = ages[index - 1], ages[index]
        following = ages[min(index + 1, len(ages) - 1)]
        share = (age - before) / (after - before)
        return max(after + share * (following - after), age + MIN_GAP_SECONDS)
