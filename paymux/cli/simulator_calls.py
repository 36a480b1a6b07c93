"""Commands that speak with a running simulator: env, answer, fault, resend, tail, reset."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .control import Control
from .exits import Exit
from .failures import Failed
from .tables import Column

if TYPE_CHECKING:
    from .invocation import Invocation

_FORMATS = ("sh", "powershell", "dotenv", "toml", "json")
_ANSWERS = ("approve", "decline", "cancel", "ignore", "no_money", "limit", "busy", "expire")
_URL = click.option(
    "--url", metavar="URL", help="Of the simulator; else PAYMUX_SIMULATOR, or port 8765."
)
_Row = dict[str, Any]


def _cell(name: str) -> Any:
    return lambda row: str(row[name] if row.get(name) is not None else "")


def _columns(*names: str) -> list[Column[_Row]]:
    return [Column(name, _cell(name)) for name in names]


def _write(cli: "Invocation", rows: list[_Row], *names: str) -> None:
    table = cli.rows(_columns(*names), lambda row: row)
    for row in rows:
        table.write(row)
    table.close()


@command(
    "env",
    examples=(
        'eval "$(paymux simulator env)"',
        "paymux simulator env --format powershell",
    ),
)
@_URL
@click.option("--format", type=click.Choice(_FORMATS), default="sh", show_default=True)
def env(cli: "Invocation", url: str | None, format: str) -> None:
    """Print the lines to paste, so that a program speaks with the simulator."""
    if cli.json:
        cli.write_json(Control(url).get("env", format="json"))
    else:
        cli.write(Control(url).text("GET", "env", query={"format": format}))


@command(
    "answer",
    examples=(
        "paymux simulator answer order-7 approve",
        "paymux simulator answer order-7 no_money",
    ),
)
@_URL
@click.argument("reference")
@click.argument("answer", type=click.Choice(_ANSWERS))
@click.option("--pin", help="As the payer types it; 0000 is the right one.")
def answer(
    cli: "Invocation", url: str | None, reference: str, answer: str, pin: str | None
) -> Exit:
    """Answer as the payer of an order.

    Exit 1: the PIN was wrong, and the payer may try again.
    """
    control = Control(url)
    found = control.get("payments", reference=reference, limit="1")["items"]
    if not found:
        raise Failed(f"reference: no order {reference[:64]!r} is at the simulator", Exit.USAGE)
    body = {"answer": answer, **({"pin": pin} if pin is not None else {})}
    row = control.send("POST", f"payments/{found[0]['id']}/answer", body)
    _write(cli, [row], "reference", "status", "reason", "amount", "currency")
    wrong = answer == "approve" and row["status"] == "pending"
    return Exit.NO if wrong else Exit.DONE


@command(
    "fault",
    examples=(
        "paymux simulator fault campay drop_after 'POST /api/collect/'",
        "paymux simulator fault --clear",
    ),
)
@_URL
@click.argument("words", nargs=-1, metavar="[PROVIDER KIND [MATCH]]")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True)
@click.option("--status", type=int, help="The HTTP status of an error.")
@click.option("--seconds", type=float, help="How long a slow one takes.")
@click.option("--clear", is_flag=True, help="Drop every planned fault.")
def fault(
    cli: "Invocation", url: str | None, words: tuple[str, ...], *, clear: bool, **given: Any
) -> None:
    """Plan trouble for the next requests that match, or list what is planned.

    KIND is drop_before, drop_after, error, html, slow, throttle, stale_token, webhook_lost and the
    like; MATCH is a method and the begin of a path, or an order's reference.
    """
    control = Control(url)
    if clear:
        control.text("DELETE", "faults")
    elif words:
        if not 2 <= len(words) <= 3:
            raise Failed("fault: accepted: PROVIDER KIND [MATCH]", Exit.USAGE)
        names = dict(zip(("provider", "kind", "match"), words, strict=False))
        more = {name: value for name, value in given.items() if value is not None}
        control.send("POST", "faults", {**names, **more})
    _write(cli, control.get("faults")["items"], "n", "provider", "kind", "match", "times")


@command(
    "resend",
    examples=("paymux simulator resend order-7", "paymux simulator resend 3 --times 2 --forged"),
)
@_URL
@click.argument("delivery", metavar="NUMBER|REFERENCE")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True)
@click.option("--forged", is_flag=True, help="With a signature that is wrong.")
@click.option("--to", metavar="URL", help="To this address.")
def resend(cli: "Invocation", url: str | None, delivery: str, to: str | None, **given: Any) -> None:
    """Send a webhook again: its number, or the last one of an order."""
    control, number = Control(url), delivery
    if not delivery.isdecimal():
        found = control.get("deliveries", reference=delivery, limit="1")["items"]
        if not found:
            raise Failed(f"reference: no webhook of {delivery[:64]!r} was sent", Exit.USAGE)
        number = str(found[0]["n"])
    body = {**given, **({"url": to} if to else {})}
    rows = control.send("POST", f"deliveries/{number}/again", body)["items"]
    _write(cli, rows, "n", "provider", "reference", "url", "status", "error")


@command("tail", examples=("paymux simulator tail", "paymux simulator tail --json"))
@_URL
def tail(cli: "Invocation", url: str | None) -> Exit:
    """Print each payment, request and webhook as it happens, until Ctrl-C."""
    rows = cli.rows(_columns("at", "type", "provider", "what", "status"), _event, at_once=True)
    for event in Control(url).events():
        rows.write({**event, "what": _what(event)})
    rows.close()
    return Exit.DONE


def _event(row: _Row) -> _Row:
    return {name: value for name, value in row.items() if name != "what"}


def _what(event: _Row) -> str:
    """Return what an event is about, in a few words."""
    if event["type"] == "payment":
        return f"{event.get('reference')} {event.get('amount')} {event.get('currency')}"
    if event["type"] == "request":
        return f"{event.get('method')} {event.get('path')}"
    return str(event.get("url") or event.get("kind") or "")


@command("reset", examples=("paymux simulator reset", "paymux simulator reset --seed 7"))
@_URL
@click.option("--seed", type=int, default=0, show_default=True)
def reset(cli: "Invocation", url: str | None, seed: int) -> None:
    """Forget orders, webhooks, faults and payers; settings stay."""
    Control(url).send("POST", "reset", {"seed": seed})


COMMANDS = (env, answer, fault, resend, tail, reset)
