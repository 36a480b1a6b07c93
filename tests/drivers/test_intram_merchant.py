"""Intram's Merchant API, tested with the bodies that its pages publish."""

from paymux.models import Status
from paymux.testing.contract import Case, Shape

KEYS = {"public_key": "simulator", "secret_key": "simulator"}

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", "payer": "+229 01 96 00 00 01", "operator": "mtn"},
    opens="POST /api/v1/merchant/payment-requests/",
    looks="GET /api/v1/merchant/transactions/",
    wire=b'"amount":1000',
    told={Status.CANCELLED: Status.FAILED, Status.EXPIRED: Status.FAILED},
    resends=frozenset(
        f"POST /api/v1/merchant/{path}/" for path in ("payment-requests", "payouts", "refunds")
    ),
    signs=True,
    signs_body=True,
    signs_with=("secret_key", "webhook_secret"),
    dashboard=True,
    payouts=(("2290196000002", "POST /api/v1/merchant/payouts/"),),
    payout={"operator": "mtn"},
    refund="POST /api/v1/merchant/refunds/",
    words=Shape(
        fields={**KEYS, "live": True},
        asked={
            "provider_reference": "op_4d2a",
            "ids": {"transaction_reference": "AB12CD34EF"},
        },
        amounts=("data.amount",),
        answers=(
            "transaction.200",
            "transaction_pending.200",
            "transaction_error.200",
            "transaction_refunded.200",
        ),
        places={"transaction.status": "data.status"},
        said={
            "transaction.200": Status.SUCCEEDED,
            "transaction_pending.200": Status.PENDING,
            "transaction_error.200": Status.FAILED,
            "transaction_refunded.200": Status.SUCCEEDED,
        },
    ),
    pages=(
        Shape(
            fields={**KEYS, "live": True},
            asked={"kind": "payout"},
            asked_by="data.operation_id",
            amounts=("data.result.amount",),
            answers=(
                "operation_payout.200",
                "operation_failed.200",
                "operation_provider_error.200",
                "operation_settlement.200",
                "operation_refund.200",
            ),
            messages=("webhook_payout_completed",),
            places={
                "status": "data.status",
                "result.status": "data.result.status",
                "error.code": "data.error.code",
            },
            told={"event": "event", "data.status": "data.status"},
            said={
                "operation_payout.200": Status.SUCCEEDED,
                "operation_failed.200": Status.FAILED,
                "operation_provider_error.200": Status.PENDING,
                "operation_settlement.200": Status.PENDING,
                "operation_refund.200": Status.SUCCEEDED,
                "webhook_payout_completed": Status.SUCCEEDED,
            },
        ),
    ),
)
