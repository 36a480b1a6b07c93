"""Which page of Daraja a path belongs to."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...http import Response

if TYPE_CHECKING:
    from . import Mpesa

# The first parts of all paths; a GET of one of them is "method not allowed".
MOUNTS = frozenset({"mpesa", "oauth", "pulltransactions", "standingorder", "v1"})


def called(mpesa: "Mpesa", path: list[str]) -> Callable[[dict[str, Any]], Response] | None:
    """Return what answers a POST to this path, or None."""
    match path:
        case ["mpesa", "stkpush", "v1", "processrequest"]:
            return mpesa.stk.push
        case ["mpesa", "stkpushquery", "v1", "query"]:
            return mpesa.stk.query
        case ["mpesa", "c2b", "v1" | "v2" as version, "registerurl"]:
            return partial(mpesa.c2b.register, version=version)
        case ["mpesa", "c2b", "v1" | "v2", "simulate"]:
            return mpesa.c2b.simulate
        case ["mpesa", "b2c", "v1" | "v3" as version, "paymentrequest"]:
            return partial(mpesa.b2c.pay, version=version)
        case ["mpesa", "b2pochi", "v1", "paymentrequest"]:
            return mpesa.b2c.pochi
        case ["mpesa", "b2b", "v1", "paymentrequest"]:
            return mpesa.b2b.pay
        case ["mpesa", "b2b", "v1", "remittax"]:
            return mpesa.b2b.tax
        case ["mpesa", "transactionstatus", "v1", "query"]:
            return mpesa.status.ask
        case ["mpesa", "accountbalance", "v1", "query"]:
            return mpesa.balance.ask
        case ["mpesa", "reversal", "v1", "request"]:
            return mpesa.reversal.request
        case ["mpesa", "qrcode", "v1", "generate"]:
            return mpesa.qr.generate
        case ["pulltransactions", "v1", "register"]:
            return mpesa.pull.register
        case ["pulltransactions", "v1", "query"]:
            return mpesa.pull.query
        case ["standingorder", "v1", "createStandingOrderExternal"]:
            return mpesa.ratiba.create
        case ["v1", "ussdpush", "get-msisdn"]:
            return mpesa.till_push.push
    return None
