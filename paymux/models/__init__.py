"""What a payment is: the same values, whatever provider it is made at.

Amounts are `Decimal`, in major units: XAF, XOF and GNF have no decimals, M-Pesa takes whole
shillings, and a fraction is refused, never rounded. Phone numbers are read as people paste them,
and in the national form if the account or the currency has only one country; a fixed line is
refused. A payment stays pending if an answer contradicts itself, or if a success has no amount
although this provider always sends one.

pydantic 2.7 and later, and so FastAPI, knows `Payment` and the other models as fields, lists,
return types, `response_model` and bodies; OpenAPI has a `Payment` with amounts as strings, and a
body that is none is answered with 422. State the return type, which FastAPI cannot guess, and write
`Annotated[Payment, Body()]`: without `Body()` FastAPI looks for it in the query. The `status` in a
body is only what the caller claims: act on `verify`.

```python
from typing import Annotated

from fastapi import Body, FastAPI

from paymux import Payment

app = FastAPI()
payments: dict[str, Payment] = {}


@app.get("/payments/{reference}")
async def show(reference: str) -> Payment:
    return payments[reference].public()


@app.post("/payments")
async def take(payment: Annotated[Payment, Body()]) -> dict[str, str]:
    payments[payment.reference or ""] = payment
    return {"status": payment.status}


print(sorted(app.openapi()["components"]["schemas"]))
```

`public()` is what a browser may see: without the payer's number, the customer, the metadata and the
provider's body. A `Payment` that is returned unchanged shows all of them. Beside other values in a
dict, FastAPI needs `msgspec.to_builtins(payment.public())` in its place. Litestar takes and returns
payments without help. In Quart and Django, return `msgspec.to_builtins(payment.public())`, and read
a body with `msgspec.json.decode(body, type=Payment)`, which raises `msgspec.DecodeError`, or
`RecursionError` for a deep one.
"""

from .answers import Balance, Method, Receipt
from .events import Event
from .kinds import ADOPTED, ORDER_PATHS, Kind, Operator, PathUse
from .model import Model
from .orders import Item, Order, Tax
from .payments import Customer, Payment, compare, log, merge
from .reasons import Reason
from .statuses import CheckedStrEnum, Status, Trust

__all__ = [
    "ADOPTED",
    "ORDER_PATHS",
    "Balance",
    "CheckedStrEnum",
    "Customer",
    "Event",
    "Item",
    "Kind",
    "Method",
    "Model",
    "Operator",
    "Order",
    "PathUse",
    "Payment",
    "Reason",
    "Receipt",
    "Status",
    "Tax",
    "Trust",
    "compare",
    "log",
    "merge",
]
