'''Drivers: how one is written, and how they are found.

Each is a folder here, with the class in its `__init__` and a file for each of the provider's APIs,
or it is a class of another package, named by the entry point `paymux.drivers`. The class has the
name of the module, with any capitals (`mpesa_gateway`: `MpesaGateway`), and is exported from
`paymux` without being listed anywhere. A driver has its parts in this order:

    """Acme: mobile money of Benin, in XOF. The page is https://acme.example/docs."""

    _STATUS = Vocabulary({                      # each word of the page: its status, and the reason
        "PAID": Status.SUCCEEDED,
        "OPEN": Status.PENDING,
        "NO_FUNDS": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    })

    class Answer(ProviderData, frozen=True):    # only the fields that are read; all are optional
        id: Text = None                         # text or None, whatever Acme sends for them
        status: Text = None
        amount: Scalar = None                   # read by `amount`

        def answers(self) -> bool:              # whether this is an answer to the request
            if not self.id:
                raise Unreadable("the answer has no id")
            return True

    class Acme(Driver, frozen=True, kw_only=True):
        """An account at Acme."""

        name = "acme"                           # facts, each with its source
        live_url = "https://api.acme.example/v1"
        sandbox_url = "https://sandbox.acme.example/v1"
        currencies = frozenset({"XOF"})
        speaks = {"status": _STATUS}
        facts = {"collect": Facts(deduplicates=False, findable=False, not_found_final_after=None)}
        takes = frozenset({"webhook_url"})      # options of an order that Acme has
        proofs = {"payment": ("amount",)}       # what every documented success has

        api_key: Secret | str = ""              # credentials

        def authorize(self, request, token):    # hooks: token, authorize, judge
            return request.with_headers({"X-Api-Key": reveal(self.api_key)})

        async def collect(self, send, order):   # verbs
            body = {"amount": whole(order.amount), "payer": order.party, "url": order.webhook_url}
            return self.payment(await send(post("/pay", Answer, body, matches=Answer.answers)))

        def webhook(self, incoming):            # messages
            return self.event(self.payment(self.message(Answer, incoming)))

        def payment(self, said, asked=None, kind="collect"):  # from an answer, a row or a message
            status, reason = self.outcome({"status": said.status})
            return self.proved(Payment(account=self.account, provider=self.name, live=self.live,
                                       status=status, reason=reason, provider_reference=said.id,
                                       currency="XOF", amount=amount(said.amount)), "payment")

`payment` takes the same arguments in each driver: what the provider said, and, if it was asked, the
provider's reference and the kind of the payment. Helper functions come below the class.

What the provider does not have is not overridden. Beside `collect`, `verify` and `webhook`:

* `payout` sends money to `order.party`: a phone number, or one with a word of `payees` before it
  ("till:…"). `payout_takes` has the options of a payout, if they are not those of `takes`;
  `lost_payout` says what a caller may do if the answer was lost and it cannot be asked for.
* `refund` gives money of a payment back. `refund_takes` has its options, and `lost_refund` says
  what a caller may do if the answer was lost. With `refunds_once` another refund of a payment is
  refused, where a provider would answer it like the first.
* `repeats` and `repeat` (`_repeating.py`): a refund that is named by its path is sent again after
  its verb, until it is answered, where the provider's page says that it is one refund.
* `find` asks by what `finds_by` has for each kind: our reference, or the provider's receipt. Where
  the facts differ within a kind, such as by payee, `facts_of(order)` returns them.
* `asks(payment)` is the look-up for a payment, or None; `pace(payment)` is when it is asked.
* A question is a look-up whose answer comes as a message: `await send(ask(…))`. The pool puts fresh
  addresses into its body, and waits for a message whose `answer_id` is the id that `id_of` read in
  the acknowledgement. Its `pace` has `by_callback=True`, so no message causes repeated questions.
* `post(…, known={"provider_reference": …})` keeps what a first step told, before the request that
  moves money leaves.
* `post(…).joined_for(seconds)` is for a provider that joins a repeated request with the first for a
  time: its verb sends the same bytes again while no answer comes. `judge` raises `NotJoining` where
  the provider says that it joins none now. `send(pause(seconds))` waits for what it prepares.
* `post(…, credential="password")` and `ask(…, credential=…)` name a credential of which a few wrong
  uses lock its user. `credential_id` returns its digest, and `proof_of` a verb that moves no money
  and proves it. After `CredentialRefused` none of its requests leaves.
* `post(…, money=False).sent_once()` is for what moves no money and still must not happen twice by
  itself, such as a prompt on a customer's phone: it is repeated only where nothing was sent.
* Where the provider wants a UUID of ours, it is `derived_uuid` (`_ids.py`) of kind and reference
  under the field `id_key: Secret | str = ""`. That is required where `live`, and never changes: the
  pool and `doctor` compare it with that of the journal's orders.
* Where an account has several logins, each request names its own, `get(…, login="payouts")`:
  `login` logs in by a name, and `url_of` is its base URL. A driver keeps each token apart.
* `identity` has the fields that say whose account it is, such as a shortcode: `pool.replace`, which
  changes credentials, changes none of them.
* `proof(event, known)` returns what a message proves by itself; None: the provider is asked, and so
  it is by an id that only the message names, such as a receipt in the `ids` of an open payment.
'''

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

from ..errors import UsageError
from ..models import Kind
from ..values.entry_points import entries, loaded, refused
from .base import Driver, Verb

if TYPE_CHECKING:
    from ._probing import Fact

_GROUP = "paymux.drivers"
_NEEDED = ("name", "live_url", "currencies")


def own() -> list[str]:
    """List the drivers that come with paymux: the modules without a leading underscore."""
    import pkgutil  # noqa: PLC0415 - a millisecond that `import paymux` does not need

    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return sorted(name for name in found if name != "base" and not name.startswith("_"))


def names() -> list[str]:
    """List all drivers: those that come with paymux, and those of other packages."""
    return sorted({*own(), *(entry.name for entry in entries(_GROUP))})


def load(name: str) -> type[Driver]:
    """Load a driver class by name; a name that no package provides is UsageError.

    An entry point that cannot be imported, is no driver, or is incomplete is UsageError, too.
    """
    if name in own():
        return _class(name)
    for entry in entries(_GROUP):
        if entry.name == name:
            return _checked(entry)
    raise UsageError.field("driver", name, ", ".join(names()))


def facts(name: str) -> "tuple[Fact, ...]":
    """Return what is unknown of a driver's provider, and can be asked in its sandbox."""
    module = load(name).__module__
    try:
        found = importlib.import_module(f"{module}.facts").FACTS
    except (ImportError, AttributeError):  # a driver without such a file
        return ()
    return tuple(found)


def exported(name: str) -> type[Driver] | None:
    """Return paymux's driver with this class name, such as `MpesaGateway`; None: there is none."""
    if not name[:1].isupper():
        return None
    for module in own():
        if module.replace("_", "") == name.lower():
            found = _class(module)
            return found if found.__name__ == name else None
    return None


_BY_RECEIPT = "find (receipt)"


def table(drivers: Iterable[str] | None = None) -> str:
    """Return a Markdown table: which provider has which operation (its driver overrides it).

    `find` is by our reference: ✓, or the only kinds that can be asked for by it.
    """
    verbs = [*get_args(Verb)]
    verbs.insert(verbs.index("find") + 1, _BY_RECEIPT)
    rows = [["", *verbs], ["---"] * (len(verbs) + 1)]
    for name in own() if drivers is None else drivers:
        driver = load(name)
        rows.append([name, *(_cell(driver, verb) for verb in verbs)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(driver: type[Driver], verb: Any) -> str:
    if verb == _BY_RECEIPT:
        return "✓" if any("receipt" in by for by in driver.finds_by.values()) else "-"
    if verb != "find":
        return "✓" if driver.can(verb) else "-"
    kinds = [kind for kind in get_args(Kind) if driver.can(kind)]
    by_ours = [kind for kind in kinds if "reference" in driver.finds_by.get(kind, ())]
    return "✓" if by_ours and by_ours == kinds else ", ".join(by_ours) or "-"


def _class(name: str) -> type[Driver]:
    """Return the driver that a module of this package defines."""
    module = importlib.import_module(f".{name}", __name__)
    return next(
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Driver)
        and found.__module__ == module.__name__
    )


def _checked(entry: Any) -> type[Driver]:
    """Load an entry point, and refuse a driver that would fail later in other code."""
    found = loaded("driver", entry, Driver)
    lacking = [field for field in _NEEDED if not getattr(found, field, None)]
    if lacking:
        raise refused("driver", entry, f"a driver with {', '.join(lacking)}")
    if not found.__struct_config__.frozen:
        accepted = "a frozen driver: `class Acme(Driver, frozen=True, kw_only=True)`"
        raise refused("driver", entry, accepted)
    return found
