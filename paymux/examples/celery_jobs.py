"""Jobs in Celery: one pool for all its worker processes, and a job that runs twice charges once.

    pip install paymux celery
    celery -A paymux.examples.celery_jobs worker --beat --concurrency 4

BROKER_URL and RESULT_BACKEND are Celery's. The account is PAYMUX_CAMPAY__DRIVER=campay with the
driver's fields (PAYMUX_CAMPAY__USERNAME …), and PAYMUX_JOURNAL the file that all workers share.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta

from celery import Celery

from paymux import NotSent, OutcomeUnknown, Payment, Pool, RateLimited, Status

# Made before the worker processes are forked, and used in one event loop after another.
pay = Pool.from_config(journal=os.environ["PAYMUX_JOURNAL"])
app = Celery("jobs", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND"))
app.conf.task_acks_late = True  # a job whose worker is killed runs again: it sends nothing twice
app.conf.beat_schedule = {"settle": {"task": "jobs.settle", "schedule": 30.0}}


async def _charge(reference: str, amount: str, payer: str) -> str:
    try:
        payment = await pay.collect(
            "campay", amount=amount, currency="XAF", payer=payer, reference=reference
        )
    except OutcomeUnknown:  # the payer may be asked by now: `settle` finds out, nothing is repeated
        return "unknown"
    return payment.status


async def _settle() -> list[str]:
    async for _ in pay.recover():  # what a killed worker left open; nothing is sent again
        pass
    since = datetime.now(UTC) - timedelta(days=3)
    recent = [payment async for payment in pay.payments(since=since)]
    open_ = [payment for payment in recent if not payment.status.terminal]
    async with pay.verify_many(open_) as items:
        ended = [item.payment async for item in items if item.payment is not None]
    paid = [payment for payment in (*recent, *ended) if payment.status is Status.SUCCEEDED]
    return [payment.reference or "" for payment in paid if await _fulfil(payment)]


async def _fulfil(payment: Payment) -> bool:
    async with pay.once(payment, "fulfilled") as first:  # over workers and restarts
        if first:
            print("e-mail:", payment.reference)
        return bool(first)


def charge(reference: str, amount: str, payer: str) -> str:
    """Ask a payer for money, and store the order's reference before this job is sent."""
    return asyncio.run(_charge(reference, amount, payer))


def settle() -> list[str]:
    """Find out how the open payments ended, and fulfil what is paid."""
    return asyncio.run(_settle())


# The provider never saw these: the same job may run again.
repeat = {"autoretry_for": (NotSent, RateLimited), "retry_backoff": True, "max_retries": 10}
app.task(charge, name="jobs.charge", **repeat)
app.task(settle, name="jobs.settle")
