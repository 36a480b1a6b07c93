"""What a test sets in a world: its settings, what payers do, and a fresh start."""

from typing import Any

from ..errors import UsageError
from ..values.arguments import whole
from ..values.validation import checked_seconds
from . import settings
from .payers import (
    PIN,
    Answer,
    Payer,
    checked_after,
    checked_answer,
    checked_number,
    checked_pin,
    checked_usual,
)
from .service import Service


class Adjustable(Service):
    """The settings and payers of one world."""

    def payer(
        self,
        number: str,
        answer: Answer | None = None,
        *,
        after: float | None = None,
        pin: str = PIN,
    ) -> Payer:
        """Decide what the payer with this number does from now on.

        `answer` None: a person decides each time. `after`: seconds until then.
        """
        found = Payer(
            number=checked_number(number),
            answer=None if answer is None else checked_answer(answer),
            after=checked_after(after),
            pin=checked_pin(pin),
        )
        self.core.payers.put(found)
        self.core.tell("settings", None)
        return found

    def forget_payer(self, number: str) -> None:
        """Let this number do again what it would have done."""
        self.core.payers.forget(number)
        self.core.tell("settings", None)

    def drop_fault(self, n: int) -> None:
        """Drop the planned fault with this number."""
        self.core.faults.drop(n)

    def clear_faults(self) -> None:
        """Drop every planned fault."""
        self.core.faults.clear()

    def settings(self) -> dict[str, Any]:
        """Return `latency`, `payers`, `after`, and each provider's settings, as JSON holds them.

        A latency that is a function is null, and so are payers that `default` decides for.
        """
        core = self.core
        return {
            "latency": None if callable(core.latency) else core.latency,
            "payers": core.payers.usual,
            "after": core.payers.after,
            **{name: settings.read(one) for name, one in sorted(self.providers.items())},
        }

    def change(self, **given: Any) -> None:
        """Change settings by their names: all of them, or none with UsageError.

        `latency`: seconds. `payers`: "ask", "approve" or "random". `after`: seconds, or None. A
        provider's name: a mapping of its settings, those of a part in a mapping of its own.
        """
        changes = [change for name, value in given.items() for change in self._changes(name, value)]
        for owner, name, value in changes:
            setattr(owner, name, value)
        self.core.tell("settings", None)

    def _changes(self, name: str, value: Any) -> list[tuple[object, str, Any]]:
        core = self.core
        if name == "latency":
            found = 0.0 if type(value) in (int, float) and not value else None
            return [(core, name, checked_seconds(name, value) if found is None else found)]
        if name == "payers":
            return [(core.payers, "usual", checked_usual(value))]
        if name == "after":
            return [(core.payers, name, checked_after(value))]
        provider = self.providers.get(name)
        if provider is None:
            accepted = ", ".join(["latency", "payers", "after", *sorted(self.providers)])
            raise UsageError.field("setting", name, accepted)
        return settings.checked(provider, value)

    def reset(self, *, seed: int = 0) -> None:
        """Forget orders, logs, faults, payers and balances; settings and access tokens stay.

        `sim.campay` is a new object then, which knows nothing of the orders before.
        """
        core = self.core
        core.random.seed(whole("seed", seed, -(2**63), 2**63))
        core.forget()
        self.log.clear()
        for name, old in self.providers.items():
            self.providers[name] = settings.copied(old, type(old)(core))
        core.tell("reset", None)
