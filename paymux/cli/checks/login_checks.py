"""Whether a provider takes an account's credentials, by one question that moves no money."""

from ...drivers.base import Driver
from ...errors import (
    AuthenticationFailed,
    NotSent,
    PaymuxError,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    UsageError,
)
from ...models import Balance, Payment
from .findings import Finding, Mend, Said, of_error, ok, problem, skipped, warning
from .walk import Walk

# A payment that no provider has: a look-up of it proves the credentials, and tells nothing else.
_NOWHERE = {"mpesa": "ws_CO_000000000000000000", "mpesa_gateway": "TXN0"}
# M-Pesa's words for a passkey that does not belong to the shortcode, or to this environment.
_PASSKEY = ("wrong credentials", "merchant does not exist")


async def login(walk: Walk) -> list[Finding]:
    """Ask each provider one question, for which the credentials must be right."""
    return await walk.each(_login)


async def balance(walk: Walk) -> list[Finding]:
    """Ask for the balance of each account that has one, and tells it at once."""
    return await walk.each(_balance)


async def _login(walk: Walk, driver: Driver) -> Finding:
    check, account = "account.login", driver.account
    try:
        await _question(walk, driver)
    except AuthenticationFailed as error:
        return problem(check, of_error(error), _credential(walk, driver), about=account)
    except RateLimited as error:
        return warning(check, of_error(error), about=account)
    except Rejected as error:
        if any(word in error.message.lower() for word in _PASSKEY):
            mend = walk.setup.place("passkey", account).enter(account)
            return problem(check, of_error(error), mend, about=account)
    except ProviderError:
        pass  # it answered about a payment that it does not know
    except (Unavailable, NotSent) as error:
        if getattr(error, "http_status", None) is None:
            told = Said("the provider was not reached", "le fournisseur n'a pas été joint")
            return skipped(check, told, account)
        return warning(check, of_error(error), about=account)
    except PaymuxError as error:
        return warning(check, of_error(error), about=account)
    return ok(check, Said("its credentials are taken", "ses identifiants sont acceptés"), account)


async def _question(walk: Walk, driver: Driver) -> None:
    account = driver.account
    if driver.can("methods"):
        await walk.pool.methods(account)
    elif _tells_balance(driver):
        await walk.balance(account)
    else:
        # With our reference, too: the gateway's look-up takes both.
        nowhere = _NOWHERE.get(driver.name, "paymux-doctor")
        await walk.pool.verify(Payment(account=account, provider_reference=nowhere))


def _tells_balance(driver: Driver) -> bool:
    """Return whether the balance is an answer: M-Pesa sends it later, as a message."""
    asks = type(driver).answer_id is not Driver.answer_id
    return driver.can("balance") and not asks


def _credential(walk: Walk, driver: Driver) -> Mend:
    """Return the command that enters the credential which a login sends."""
    account = driver.account
    named = [name for name in walk.setup.secrets(account) if getattr(driver, name, None)]
    sent = [name for name in named if name in (driver.login_fields or named)]
    then = None
    if driver.sandbox_url not in (None, driver.live_url) and driver.base_url is None:
        mark = str(driver.live).lower()
        then = Said(
            f"or live = {mark} is wrong: test and live have credentials of their own",
            f"ou live = {mark} est faux : test et production ont chacun leurs identifiants",
        )
    mend = walk.setup.place((sent or named or ["driver"])[-1], account).enter(account)
    return Mend(command=mend.command, then=then)


async def _balance(walk: Walk, driver: Driver) -> Finding | None:
    check, account = "account.balance", driver.account
    if not driver.can("balance"):
        return None
    if not _tells_balance(driver):
        told = Said(
            "it is told later, by a message: paymux balance",
            "il arrive plus tard, par un message : paymux balance",
        )
        return skipped(check, told, account)
    try:
        found: Balance = await walk.balance(account)
    except (Unsupported, UsageError):
        return None
    except PaymuxError:
        told = Said("the login was not taken", "la connexion n'a pas abouti")
        return skipped(check, told, account)
    said = f"{found.available} {found.currency}"
    return ok(check, Said(f"its balance is {said}", f"son solde est de {said}"), account)
