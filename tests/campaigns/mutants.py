"""R18: try every small change of the rules about money against the tests.

The tests of a rule are collected once. Each mutant then runs in a forked child process, which puts
the mutant's code into the function and runs the tests until the first one fails.
"""

import ast
import difflib
import importlib
import itertools
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import IO, NoReturn

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
# The rows of the outcome table: none of their mutants may survive.
TABLE = ("transport/outcome.decide", "transport/retries.may_retry")
OF_A_CALL = (
    "outcome",
    "mutants",
    "transport",
    "observers",
    "tokens",
    "singleflight",
    "limits",
    "bulk",
)
OF_A_RESULT = (
    "drivers/mpesa_money_rules",
    "drivers/mpesa_results",
    "drivers/mpesa_b2c",
    "drivers/mpesa_pool",
)
OF_A_STATUS = (
    "drivers/mpesa_status_rules",
    "drivers/mpesa_status",
    "drivers/mpesa_b2c",
    "drivers/mpesa_asking",
)
OF_B2B = ("drivers/mpesa_b2b", "drivers/mpesa_b2b_pool")
OF_RATIBA = ("drivers/mpesa_ratiba",)
OF_A_TILL = ("drivers/mpesa_till_push", "drivers/mpesa")
OF_PARTIES = (*OF_B2B, *OF_A_TILL)
OF_AIRTIME = ("drivers/campay_airtime", "drivers/campay")
OF_TRANSFERS = ("drivers/cinetpay_transfer",)
OF_PAYDUNYA = ("drivers/paydunya", "drivers/paydunya_disburse")
# The test files of each function, with the most likely to fail first.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "transport/outcome.decide": ("mutants",),
    "transport/retries.may_retry": ("mutants",),
    "transport/call.Call.__call__": OF_A_CALL,
    "transport/call.Call._before_next": OF_A_CALL,
    "transport/call.Call._note": OF_A_CALL,
    "transport/call.Call._repeats": OF_A_CALL,
    "transport/transport._ended": ("mutants", "transport", "outcome", "pool"),
    "models/payments.compare": ("models", "mutants", "confirmation"),
    "models/payments.merge": ("models", "mutants", "confirmation"),
    "models/payments._turned": ("models", "mutants", "confirmation"),
    "core/confirmation.check_matches": ("mutants", "confirmation"),
    "core/confirmation.tie_to_order": ("mutants", "confirmation"),
    **dict.fromkeys(
        (
            "drivers/mpesa/codes.result",
            "drivers/mpesa/codes._read",
            "drivers/mpesa/results.Ack.accepts",
            "drivers/mpesa/results.proof",
        ),
        OF_A_RESULT,
    ),
    **dict.fromkeys(
        (
            "drivers/mpesa/codes.transaction",
            "drivers/mpesa/results.answer_id",
            "drivers/mpesa/errors.duplicate",
            "drivers/mpesa/status.answered",
            "drivers/mpesa/status._by_id",
            "drivers/mpesa/status._by_receipt",
            "drivers/mpesa/status._unproved",
        ),
        OF_A_STATUS,
    ),
    **dict.fromkeys(
        (
            "drivers/mpesa/b2b.is_business",
            "drivers/mpesa/b2b.payout",
            "drivers/mpesa/b2b._command",
            "drivers/mpesa/b2b._bill",
        ),
        OF_B2B,
    ),
    "drivers/mpesa/parties.facts_of": OF_PARTIES,
    "drivers/mpesa/parties.own_ids": OF_PARTIES,
    "drivers/mpesa/parties.collect": OF_PARTIES,
    "drivers/mpesa/parties.payout": OF_PARTIES,
    "drivers/mpesa/reversal.refund": ("drivers/mpesa_reversal",),
    **dict.fromkeys(
        (
            "drivers/mpesa/till_push.Started.starts",
            "drivers/mpesa/till_push.is_till",
            "drivers/mpesa/till_push.own_id",
            "drivers/mpesa/till_push.collect",
            "drivers/mpesa/till_push.refusal",
            "drivers/mpesa/till_push.claims",
            "drivers/mpesa/till_push.proof",
            "drivers/mpesa/status._of_till",
        ),
        OF_A_TILL,
    ),
    **dict.fromkeys(
        (
            "drivers/mpesa/ratiba.Accepted.accepts",
            "drivers/mpesa/ratiba.Callback.told",
            "drivers/mpesa/ratiba.standing_order",
            "drivers/mpesa/ratiba._asked",
            "drivers/mpesa/ratiba.own_id",
            "drivers/mpesa/ratiba.refusal",
            "drivers/mpesa/ratiba.claims",
            "drivers/mpesa/ratiba.is_about_one",
            "drivers/mpesa/ratiba._receiver",
            "drivers/mpesa/ratiba._shillings",
            "drivers/mpesa/ratiba._days",
            "drivers/mpesa/ratiba._word",
            "drivers/mpesa/ratiba._day",
        ),
        OF_RATIBA,
    ),
    **dict.fromkeys(
        (
            "drivers/campay/airtime.is_airtime",
            "drivers/campay/airtime.transfer",
            "drivers/campay/airtime.marked",
        ),
        OF_AIRTIME,
    ),
    **dict.fromkeys(
        (
            "drivers/paydunya/errors.told",
            "drivers/paydunya/errors.refusal",
            "drivers/paydunya/disburse.Disbursement.named",
            "drivers/paydunya/disburse.Disbursement.accepted",
            "drivers/paydunya/disburse.Disbursement.tells",
            "drivers/paydunya/disburse.payout",
            "drivers/paydunya/disburse.look_up",
            "drivers/paydunya/disburse.payment",
        ),
        OF_PAYDUNYA,
    ),
    **dict.fromkeys(
        (
            "drivers/cinetpay_v1/answers.Answer.refusal",
            "drivers/cinetpay_v1/answers.Answer._listed",
            "drivers/cinetpay_v1/answers.Answer.speaks",
            "drivers/cinetpay_v1/answers.Answer.accepts",
            "drivers/cinetpay_v1/answers.Answer.answers",
            "drivers/cinetpay_v1/checkout.collect",
            "drivers/cinetpay_v1/transfer.payout",
            "drivers/cinetpay_v1/ids.own_id",
            "drivers/cinetpay_v1/ids.kind_of",
            "drivers/cinetpay_v1/ids.reference_of",
        ),
        ("drivers/cinetpay_v1",),
    ),
    **dict.fromkeys(
        (
            "drivers/cinetpay_transfer/answers.Answer.rows",
            "drivers/cinetpay_transfer/answers.Answer.row",
            "drivers/cinetpay_transfer/answers.Answer.answers_contact",
            "drivers/cinetpay_transfer/answers.Answer.answers_order",
            "drivers/cinetpay_transfer/answers.Answer.answers_check",
            "drivers/cinetpay_transfer/answers.Answer._answers_about",
            "drivers/cinetpay_transfer/answers.Answer.error_code",
            "drivers/cinetpay_transfer/answers.Answer.refusal",
            "drivers/cinetpay_transfer/sending.payout",
            "drivers/cinetpay_transfer/sending.check",
            "drivers/cinetpay_transfer/sending.checked_payee",
        ),
        OF_TRANSFERS,
    ),
    **dict.fromkeys(
        (
            "drivers/paydunya/softpay.Push.started",
            "drivers/paydunya/softpay.collect",
            "drivers/paydunya/softpay.refusal",
            "drivers/paydunya/softpay._way",
            "drivers/paydunya/softpay._otp",
        ),
        ("drivers/paydunya_softpay",),
    ),
    **dict.fromkeys(
        (
            "drivers/paydunya/opr.Onsite.accepted",
            "drivers/paydunya/opr.Onsite.made",
            "drivers/paydunya/opr.charge",
            "drivers/paydunya/opr._given",
            "drivers/paydunya/opr.first_step",
            "drivers/paydunya/opr.code",
            "drivers/paydunya/checkout.check_open",
        ),
        ("drivers/paydunya_opr",),
    ),
    **dict.fromkeys(
        (
            "drivers/paydunya/wizall.Started.id",
            "drivers/paydunya/wizall.Started.started",
            "drivers/paydunya/wizall.charge",
            "drivers/paydunya/wizall._local",
        ),
        ("drivers/paydunya_wizall",),
    ),
    **dict.fromkeys(
        (
            "drivers/mtn_momo/errors.refusal",
            "drivers/mtn_momo/errors._login",
            "drivers/mtn_momo/reading.read",
            "drivers/mtn_momo/account.own_id",
            "drivers/mtn_momo/account.platforms",
            "drivers/mtn_momo/account.checked_login",
            "drivers/mtn_momo/account.credentials",
            "drivers/mtn_momo/answers.Transaction.answers",
            "drivers/mtn_momo/answers.is_gateways",
            "drivers/mtn_momo/orders.move",
            "drivers/mtn_momo/orders.look",
            "drivers/mtn_momo/orders._look_up",
            "drivers/mtn_momo/orders._id_of",
            "drivers/mtn_momo/orders._note",
        ),
        ("drivers/mtn_momo", "drivers/mtn_momo_pool"),
    ),
    **dict.fromkeys(
        ("drivers/_ids.derived_uuid", "drivers/_ids.refusal", "core/id_keys.check_kept"),
        ("drivers/ids", "id_keys"),
    ),
    "core/id_keys.check_apart": ("id_keys",),
    "core/id_keys.check_same": ("id_keys",),
    **dict.fromkeys(
        (
            "drivers/pawapay/errors.refusal",
            "drivers/pawapay/errors._of_money",
            "drivers/pawapay/answers.Said.named",
            "drivers/pawapay/answers.Said.code",
            "drivers/pawapay/answers.Said.answers_order",
            "drivers/pawapay/answers.Found.answers",
            "drivers/pawapay/orders.order",
            "drivers/pawapay/orders.refund",
            "drivers/pawapay/orders.look_up",
            "drivers/pawapay/orders._sent",
            "drivers/pawapay/orders._provider",
            "drivers/pawapay/orders.written",
        ),
        ("drivers/pawapay", "drivers/pawapay_pool"),
    ),
    **dict.fromkeys(
        (
            "values/http_signatures.signed_headers",
            "values/http_signatures.verify",
            "values/http_signatures._parts",
            "values/http_signatures._base",
            "values/http_signatures._read_input",
            "values/http_signatures._read_signature",
            "values/http_signatures._check_digest",
            "values/http_signatures._is_valid",
            "values/http_signatures._decoded",
        ),
        ("drivers/pawapay_signatures",),
    ),
    "core/questions.Questions.hear": ("questions", "payout_campaigns"),
    "core/questions.Questions._answer": ("questions", "payout_campaigns"),
    **dict.fromkeys(
        (
            "transport/credentials.CredentialGuard._let_out",
            "transport/credentials.CredentialGuard._take",
            "transport/credentials.CredentialGuard.ended",
            "transport/credentials.CredentialGuard.heard",
            "journal/credentials._take",
        ),
        ("credentials", "payout_campaigns"),
    ),
    **dict.fromkeys(
        (
            "drivers/wave/refusals.refusal",
            "drivers/wave/payouts.request",
            "drivers/wave/payouts.read",
            "drivers/wave/payouts.comparison",
            "drivers/wave/payouts.merchant",
            "drivers/wave/payouts.text_setting",
            "drivers/wave/payouts._shown",
            "drivers/wave/sessions.session_request",
            "drivers/wave/answers.same",
            "drivers/wave/answers._says_most",
            "drivers/wave/answers.Sessions.one",
            "drivers/wave/answers.Payouts.one",
            "drivers/wave/answers.Session.answers",
            "drivers/wave/answers.Session.answers_order",
            "drivers/wave/answers.Payout.answers",
            "drivers/wave/answers.Payout.answers_order",
            "drivers/wave/signature.seal",
            "drivers/wave/signature.request_headers",
            "drivers/wave/signature.proof_of",
            "drivers/wave/signature._check",
            "drivers/wave/signature._any",
        ),
        ("drivers/wave",),
    ),
    **dict.fromkeys(
        (
            "drivers/wave/refunds.refund",
            "drivers/wave/refunds.sent",
            "drivers/wave/refunds.again",
            "drivers/wave/refunds.is_unanswered",
            "drivers/wave/refunds.is_reversal",
            "drivers/wave/refunds.reversal",
            "drivers/wave/refunds._request",
        ),
        ("drivers/wave", "refund_repeats"),
    ),
    **dict.fromkeys(
        (
            "drivers/intram_merchant/refusals.refusal",
            "drivers/intram_merchant/answers.Answer.accepts",
            "drivers/intram_merchant/answers.Answer.answers",
            "drivers/intram_merchant/operations.read",
            "drivers/intram_merchant/operations._receipt",
            "drivers/intram_merchant/operations.operation",
            "drivers/intram_merchant/operations._followed",
            "drivers/intram_merchant/operations.with_page",
            "drivers/intram_merchant/operations.find",
            "drivers/intram_merchant/operations._listed",
            "drivers/intram_merchant/orders.payment_request",
            "drivers/intram_merchant/orders.payout",
            "drivers/intram_merchant/orders.refund",
            "drivers/intram_merchant/orders._mobile",
            "drivers/intram_merchant/orders._bank",
            "drivers/intram_merchant/orders._provider_code",
            "drivers/intram_merchant/orders._free",
            "drivers/intram_merchant/signing.key",
            "drivers/intram_merchant/signing.signed",
            "drivers/intram_merchant/signing.check_message",
            "drivers/intram_merchant/transactions.Told.answers",
            "drivers/intram_merchant/transactions.read",
            "drivers/intram_merchant/transactions.look_up",
            "drivers/intram_merchant/messages.event",
            "drivers/intram_merchant/messages._claims",
        ),
        (
            "drivers/intram_merchant_rules",
            "drivers/intram_merchant",
            "drivers/intram_merchant_pool",
        ),
    ),
    **dict.fromkeys(
        (
            "core/repeating.repeating",
            "core/repeating.repeat",
            "core/recovery.recover",
            "core/recovery._looked_after",
            "core/recovery.examine",
            "core/recovery._advice",
        ),
        ("refund_repeats", "recovery"),
    ),
    **dict.fromkeys(
        (
            "core/one_refund.check_first",
            "core/one_refund._is_over",
            "journal/first_refunds.StoredFirstRefunds.take",
            "journal/first_refunds.LocalFirstRefunds.take",
            "journal/first_refunds._take",
        ),
        ("one_refund", "journal_conformance/first_refunds"),
    ),
}
# In the names of the tests of mutants: they read the source, so that every mutant fails them.
CAMPAIGN = "campaign"
PATIENCE = 30  # seconds for one test, because a mutant may never end
MEMORY = 2 << 30
CPU = 300  # seconds of one mutant's tests: one that repeats for ever may hear no time-out
WORDING = 3  # words of a text that says something to a person, as an f-string does
# Mutants that behave like the original, each with its reason.
EQUIVALENT: Mapping[str, str] = {
    **{
        f"drivers/intram_merchant/refusals.refusal: {change}": "No listed code follows."
        for change in (
            (
                "code = said.code if said is not None and said.error is True else None"
                " => code = said.code if said is not None and said.error is True else ..."
            ),
            "if said is None or code is None: => if code is None:",
            "if said is None or code is None: => if said is ... or code is None:",
            "if said is None or code is None: => if said is None and code is None:",
            "if said is None or code is None: => if said is None or code is ...:",
            "if said is None or code is None: => if said is None:",
            "return None => pass #2",
            "return None => return",
            "return None => return #2",
        )
    },
    (
        "drivers/intram_merchant/operations._receipt: named = answer.get('serviceref') if"
        " isinstance(answer, dict) else None => named = answer.get('serviceref') if"
        " isinstance(answer, dict) else ..."
    ): "Neither is a text.",
    (
        "drivers/intram_merchant/operations._followed: async def _followed(driver:"
        " 'IntramMerchant', send: Send, said: Operation, kind: Kind='collect') -> Payment:"
        " => async def _followed(driver: 'IntramMerchant', send: Send, said: Operation,"
        " kind: Kind='') -> Payment:"
    ): "`find` passes on only operations that name their type.",
    **{
        (
            "drivers/intram_merchant/operations.with_page: operation_id ="
            " accepted.provider_reference or '' => operation_id ="
            f" accepted.provider_reference{left}"
        ): "What was accepted has an id."
        for left in ("", " or 'mutant'")
    },
    (
        "drivers/intram_merchant/operations._listed: if OPERATION_ID.fullmatch(said.operation_id or"
        " ''): => if OPERATION_ID.fullmatch(said.operation_id or 'mutant'):"
    ): "Neither is an id.",
    (
        "drivers/intram_merchant/operations.read: if status is Status.PENDING and kind != 'collect'"
        " and ((said.status or '').upper() == 'FAILED'): => if status is Status.PENDING and"
        " kind != 'collect' and ((said.status or 'mutant').upper() == 'FAILED'):"
    ): "Neither is FAILED.",
    **{
        (
            "drivers/intram_merchant/orders.payout: account ="
            f" (order.party or '').partition(BANK)[2] => account = {left}.partition(BANK)[2]"
        ): "A payout has a payee."
        for left in ("(order.party or 'mutant')", "order.party")
    },
    (
        "drivers/intram_merchant/orders._bank: swift = (coerce.text(given) or '').upper()"
        " => swift = (coerce.text(given) or 'mutant').upper()"
    ): "Neither is a SWIFT code.",
    "drivers/intram_merchant/orders._provider_code: return None => return": "Both return None.",
    **{
        f"drivers/intram_merchant/signing.check_message: {change}": "Neither is one."
        for change in (
            (
                "given = incoming.headers.get('x-intram-signature', '').encode('utf-8', 'replace')"
                " => given = incoming.headers.get('x-intram-signature', 'mutant').encode('utf-8',"
                " 'replace')"
            ),
            (
                "stamp = incoming.headers.get('x-intram-timestamp', '')"
                " => stamp = incoming.headers.get('x-intram-timestamp', 'mutant')"
            ),
        )
    },
    **{
        f"drivers/intram_merchant/messages.event: {change}": "Neither is one."
        for change in (
            (
                "if not OPERATION_ID.fullmatch(said.operation_id or ''):"
                " => if not OPERATION_ID.fullmatch(said.operation_id or 'mutant'):"
            ),
            (
                "kind = TYPES.get((said.event or '').partition('.')[0])"
                " => kind = TYPES.get((said.event or 'mutant').partition('.')[0])"
            ),
        )
    },
    **{
        (
            f"drivers/wave/answers._says_most: {name} = (session.{field} or ''){rest}"
            f" => {name} = {left}{rest}"
        ): "`answers` has refused a session without both."
        for name, field, rest in (
            ("paid", "payment_status", ".upper() == 'SUCCEEDED'"),
            ("state", "checkout_status", ".upper()"),
        )
        for left in (f"(session.{field} or 'mutant')", f"session.{field}")
    },
    **{
        f"drivers/wave/signature._check: {before} => {after}": "There is one."
        for before, after in (
            (
                "if abs(time.time() - int(times[0])) > TOLERANCE:",
                "if abs(time.time() - int(times[-1])) > TOLERANCE:",
            ),
            (
                (
                    "if len(times) != 1 or not _SECONDS.fullmatch(times[0])"
                    " or (not 0 < len(given) <= _MOST):"
                ),
                (
                    "if len(times) != 1 or not _SECONDS.fullmatch(times[-1])"
                    " or (not 0 < len(given) <= _MOST):"
                ),
            ),
            (
                "seals = [seal(secret, times[0], body).encode() for secret in secrets]",
                "seals = [seal(secret, times[-1], body).encode() for secret in secrets]",
            ),
        )
    },
    (
        "drivers/wave/signature._check: parts = [part.strip().partition('=') for part in"
        " header.split(',', _MOST + 1)] => parts = [part.strip().partition('=') for part in"
        " header.split(',', _MOST + 2)]"
    ): "It only bounds the work: both are too many.",
    (
        "drivers/wave/signature.proof_of: scheme, _, shown = incoming.headers.get('authorization',"
        " '').partition(' ') => scheme, _, shown = incoming.headers.get('authorization',"
        " 'mutant').partition(' ')"
    ): "Neither is a scheme.",
    **{
        (
            "drivers/wave/refunds.sent: await send(_request(name, ids[name], refund.reference or"
            f" '')) => await send(_request(name, ids[name], refund.reference{left}))"
        ): "A refund has a reference."
        for left in ("", " or 'mutant'")
    },
    **{
        (
            f"values/http_signatures.verify: {before}'{name}', ''{after} => "
            f"{before}'{name}', 'mutant'{after}"
        ): "Neither is one."
        for before, name, after in (
            ("_check_digest(incoming.headers.get(", "content-digest", "), incoming.body)"),
            ("created = values.get(", "created", ")"),
            ("host = incoming.headers.get(", "host", ")"),
            (
                "label, covered, input, values = _read_input(incoming.headers.get(",
                "signature-input",
                "))",
            ),
            (
                "signature = _read_signature(incoming.headers.get(",
                "signature",
                "), label)",
            ),
        )
    },
    **{
        (
            "values/http_signatures.verify: key = public_key(keys.get(values.get('keyid', ''), ''))"
            f" => key = public_key(keys.get(values.get({left}))"
        ): "No key has this name, and neither is a key."
        for left in ("'keyid', ''), 'mutant'", "'keyid', 'mutant'), ''")
    },
    **{
        (
            "values/http_signatures._read_signature: found = _SIGNATURE.fullmatch(header)"
            " if len(header) <= _MAX_HEADER else None"
            f" => found = _SIGNATURE.fullmatch(header){left}"
        ): "What the pattern lets through is shorter."
        for left in ("", " if len(header) < _MAX_HEADER else None")
    },
    "values/http_signatures._is_valid: return False => return": "Both are no.",
    **{
        (
            "values/http_signatures._decoded: return base64.b64decode(text, validate=True)"
            f" => return base64.b64decode(text{left})"
        ): "The patterns of its callers have let through base64 alone."
        for left in ("", ", validate=False")
    },
    **{
        f"drivers/mtn_momo/orders.move: {change}": "Only a refund has no party."
        for change in (
            "elif order.party: => elif True:",
            "more: dict[str, Any] = {} => pass",
        )
    },
    **{
        (
            "drivers/mtn_momo/orders.look: asked = payment.provider_reference or own_id(driver,"
            " kind, payment.reference or '') => asked = payment.provider_reference or"
            f" own_id(driver, kind, payment.reference{left})"
        ): "`asks` lets a payment without both ids through to no look-up."
        for left in ("", " or 'mutant'")
    },
    (
        "drivers/mtn_momo/orders.look: for platform in [held[0]] if held[0] else platforms(driver,"
        " APIS[OF_KIND[kind][0]].product): => for platform in [held[0]] if held[0] else"
        " platforms(driver, APIS[OF_KIND[kind][-1]].product):"
    ): "Both APIs of a payout are of one product.",
    **{
        f"drivers/mtn_momo/orders.look: {change}": "There is always a platform to ask."
        for change in (
            "raise unknown or NotFound(f'{driver.account}: no platform to ask') => raise unknown",
            "unknown: NotFound | None = None => pass",
            "unknown: NotFound | None = None => unknown: NotFound | None = ...",
        )
    },
    **{
        (
            "core/one_refund.check_first: refunded = Refunded(order.account, call.driver.live,"
            " order.refunds or '') => refunded = Refunded(order.account, call.driver.live,"
            f" order.refunds{left})"
        ): "It is called for an order that refunds something."
        for left in ("", " or 'mutant'")
    },
    (
        "core/one_refund.check_first: while first != reference and await _is_over(engine,"
        " order.account, first): => while await _is_over(engine, order.account, first):"
    ): "This refund itself is in flight, and so is not over.",
    **{
        f"core/one_refund._is_over: return False => {left}": "Both are no."
        for left in ("return", "return #2")
    },
    (
        "core/one_refund.check_first: except (OSError, TimeoutError, Unavailable) as error:"
        " => except (OSError, Unavailable) as error:"
    ): "A TimeoutError is an OSError.",
    **{
        (
            f"journal/first_refunds.{of}.take: async def take(self, refunded: Refunded, reference:"
            " str, instead_of: str='') -> str: => async def take(self, refunded: Refunded,"
            " reference: str, instead_of: str='mutant') -> str:"
        ): "No refund is noted under this reference."
        for of in ("StoredFirstRefunds", "LocalFirstRefunds")
    },
    "journal/first_refunds._take: if instead_of: => if True:": "No reference is empty.",
    (
        "journal/first_refunds._take: return str(db.execute(_FIND, (name,)).fetchone()[0])"
        " => return str(db.execute(_FIND, (name,)).fetchone()[-1])"
    ): "It has one column.",
    "core/repeating.repeating: return None => return": "Both return None.",
    (
        "transport/call.Call.__call__: self.token = held or await self._sign_in(request)"
        " => self.token = await self._sign_in(request)"
    ): "`held` is the quick way to what `get` gives, too.",
    (
        "drivers/mpesa/b2b.payout: command, payee = (_command(driver, order), order.party or '')"
        " => command, payee = (_command(driver, order), order.party)"
    ): "A payment goes here by its payee.",
    (
        "drivers/mpesa/b2b.payout: command, payee = (_command(driver, order), order.party or '')"
        " => command, payee = (_command(driver, order), order.party or 'mutant')"
    ): "A payment goes here by its payee.",
    "drivers/mpesa/b2b._command: payee = order.party or '' => payee = order.party": (
        "A payment goes here by its payee."
    ),
    "drivers/mpesa/b2b._command: payee = order.party or '' => payee = order.party or 'mutant'": (
        "A payment goes here by its payee."
    ),
    (
        "drivers/mpesa/parties.facts_of: if order.kind == 'payout' and b2b.is_business(payee):"
        " => if b2b.is_business(payee):"
    ): "The facts of a collect are the same.",
    "drivers/mpesa/results.proof: return None => return": "Both return None.",
    "drivers/pawapay/errors.refusal: return None => return": "Both return None.",
    "drivers/pawapay/errors.refusal: return None => pass": "Both return None.",
    "drivers/pawapay/errors._of_money: return None => return": "Both return None.",
    (
        "drivers/pawapay/answers.Said.named: return found[0] => return found[-1]"
    ): "There is exactly one.",
    (
        "drivers/pawapay/answers.Said.code: failed = (self.status or '').strip(' .').upper()"
        " == 'FAILED' => failed = (self.status or 'mutant').strip(' .').upper() == 'FAILED'"
    ): "Neither word is FAILED.",
    (
        "drivers/pawapay/orders._provider: number = order.party or '' => number = order.party"
    ): "The pool gives every order of the two kinds a party.",
    (
        "drivers/pawapay/orders._provider: number = order.party or ''"
        " => number = order.party or 'mutant'"
    ): "The pool gives every order of the two kinds a party.",
    (
        "drivers/pawapay/orders._provider: return (await toolkit.predict(send, number)).provider"
        " or '' => return (await toolkit.predict(send, number)).provider"
    ): "A prediction without an operator is no answer.",
    (
        "drivers/pawapay/orders._provider: return (await toolkit.predict(send, number)).provider"
        " or '' => return (await toolkit.predict(send, number)).provider or 'mutant'"
    ): "A prediction without an operator is no answer.",
    (
        "drivers/pawapay/errors._of_money: reason = REFUSALS.get(code or '')"
        " => reason = REFUSALS.get(code)"
    ): "Neither None nor an empty text is a code.",
    (
        "drivers/pawapay/errors._of_money: reason = REFUSALS.get(code or '')"
        " => reason = REFUSALS.get(code or 'mutant')"
    ): "Neither is a code.",
    **{
        f"drivers/wave/answers.Payouts.one: {before} => {after}": "There is one."
        for before, after in (
            ("return self.result[0]", "return self.result[-1]"),
            ("self.result[0].answers()", "self.result[-1].answers()"),
        )
    },
    **{
        f"drivers/wave/refusals.refusal: return None => {left}": "Both return None."
        for left in ("return", "return #2", "pass #2")
    },
    **{
        (
            "drivers/wave/refusals.refusal: if request.type is Empty and request.money and"
            " (200 < reply.status < 300): => if request.type is Empty and request.money and"
            f" (200 < reply.status {left}):"
        ): "300 is no answer in any case."
        for left in ("< 301", "<= 300")
    },
    "drivers/mpesa/errors.duplicate: return None => return": "Both return None.",
    "drivers/mpesa/ratiba.refusal: return None => return": "Both return None.",
    "drivers/mpesa/ratiba.refusal: return None => pass": "Both return None.",
    "drivers/mpesa/errors.duplicate: return None => pass": "Both return None.",
    (
        "drivers/mpesa/results.proof: return msgspec.structs.replace("
        "said, kind=kind, reference=known.reference, reason=reason)"
        " => return msgspec.structs.replace(said, kind=kind, reference=known.reference)"
    ): "A code that ends a payment has one reason in the tables of both kinds.",
    **{
        (
            "drivers/mpesa/status._by_id: found = _payment(driver, told, known.kind or 'payout')"
            f" => found = _payment(driver, told, known.kind{left})"
        ): "Only a payout or a refund is asked for by its id."
        for left in ("", " or ''")
    },
    **{
        (
            "drivers/mpesa/status._by_id: pairs = [pair for pair in zip(theirs, ours, strict=True)"
            f" if None not in pair] => pairs = [pair for pair in zip(theirs, ours{left})"
            " if None not in pair]"
        ): "Both are two."
        for left in ("", ", strict=False")
    },
    **{
        f"transport/credentials.CredentialGuard.{change}": reason
        for changes, reason in (
            (
                (
                    "_let_out: self._check(call, credential) => pass",
                    "_let_out: self._check(call, credential) => pass #2",
                ),
                "`_take` refuses, too.",
            ),
            (
                (
                    "_let_out: if credential.is_proved: => if False:",
                    "_let_out: if credential.is_proved: => if False: #2",
                    "_let_out: return '' => pass",
                    "_let_out: return '' => pass #2",
                ),
                "It is the quick way: nothing proved is kept waiting for a place.",
            ),
            (
                (
                    "_let_out: return '' => return",
                    "_let_out: return '' => return #2",
                    "_take: return '' => return",
                ),
                "Both are no place.",
            ),
            (
                (
                    "_let_out: return '' => return 'mutant'",
                    "_let_out: return '' => return 'mutant' #2",
                    "_take: return '' => return 'mutant'",
                ),
                "No request has this place.",
            ),
            (
                ("ended: return => pass",),
                "It is refused already, and lets nothing out.",
            ),
        )
        for change in changes
    },
    **{
        f"drivers/paydunya/{change}": "Both return None."
        for change in (
            "errors.told: return None => return",
            "softpay.refusal: return None => return",
            "softpay.refusal: return None => return #2",
        )
    },
    **{
        (
            "drivers/paydunya/softpay.collect: known = {'provider_reference': made.token or '', "
            "'checkout_url': made.response_text or ''} => known = {'provider_reference': "
            f"made.token{token}, 'checkout_url': made.response_text{page}}}"
        ): "An invoice that was made has both."
        for token, page in (
            *(("", " or ''"), (" or 'mutant'", " or ''")),
            *((" or ''", ""), (" or ''", " or 'mutant'")),
        )
    },
    **{
        f"drivers/cinetpay_transfer/answers.Answer.{name}: return None => return": (
            "Both return None."
        )
        for name in ("error_code", "refusal")
    },
    **{
        f"drivers/cinetpay_v1/answers.Answer.{function}: return None => {change}": "Both are None."
        for function, changes in (
            ("refusal", ("return", "return #2")),
            ("_listed", ("return", "pass")),
        )
        for change in changes
    },
    (
        "drivers/cinetpay_v1/answers.Answer.accepts: if page and (not (self.payment_url or '')"
        ".startswith(('https://', 'http://'))): => if page and (not (self.payment_url or 'mutant')"
        ".startswith(('https://', 'http://'))):"
    ): "Neither is the URL of a page.",
    (
        "drivers/cinetpay_v1/checkout.collect: ours, said = (own_id('collect', order.reference), "
        "body(driver, order)) => ours, said = (own_id('', order.reference), body(driver, order))"
    ): "All but a payout has the ids of a collect.",
    **{
        f"drivers/paydunya/errors.refusal: return None => {change}": "Both return None."
        for change in ("return", "return #2", "pass #2")
    },
    **{
        (
            "drivers/paydunya/disburse.payout: mode, alias = route(order.operator, order.party"
            f" or '') => mode, alias = route(order.operator, order.party{left})"
        ): "A payout has a payee."
        for left in ("", " or 'mutant'")
    },
    "journal/credentials._take: return False => return": "Both are no.",
    "core/questions.Questions.hear: return None => return": "Both return None.",
    "core/questions.Questions.hear: self._wake(nonce, None) => self._wake(nonce, ...)": (
        "What there is then, the store says."
    ),
    "models/payments.merge: if known.ids: => if True:": (
        "Merging what is found into no ids gives what is found."
    ),
    "models/payments.merge: if known.metadata: => if True:": (
        "Merging what is found into no metadata gives what is found."
    ),
    **{
        (
            f"models/payments.{name}: for {names} in zip({given}, strict=True): => for {names} in "
            f"zip({given}{left}):"
        ): ("Both are one Struct's.")
        for name, names, given in (
            ("compare", "name, theirs, mine", "_COMPARED, _compared(found), _compared(expected)"),
            ("merge", "name, new, held", "_FIELDS, astuple(found), astuple(known)"),
        )
        for left in ("", ", strict=False")
    },
}


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one function: `name` describes it, `text` is the whole changed function."""

    target: str
    name: str
    text: str

    def take_its_place(self) -> None:
        """Put the mutant's code into the function, for all its callers in this process."""
        module, *path = self.target.split(".")
        home = importlib.import_module(f"paymux.{module.replace('/', '.')}")
        function = home
        for name in path:
            function = getattr(function, name)
        made = dict(vars(home))
        exec(self.text, made)  # noqa: S102 - our own code
        mutant = made[path[-1]]
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            setattr(function, part, getattr(mutant, part))


COMPARED: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "Means": ("ANSWER", "NOT_SENT", "STALE", "THROTTLED", "DUPLICATE", "REFUSED", "UNKNOWN"),
    "Status": ("PENDING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "REFUNDED"),
    "Trust": ("BODY", "ORIGIN", "NOTHING"),
}


def _without(items: Sequence[ast.expr], index: int) -> list[ast.expr]:
    return [item for number, item in enumerate(items) if number != index]


def _constants(value: object) -> Iterator[ast.expr]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, str) and len(value.split()) < WORDING:
        yield ast.Constant("" if value else "mutant")
    elif value is None:
        yield ast.Constant(...)


def _collections(node: ast.Tuple | ast.List | ast.Set | ast.Dict) -> Iterator[ast.expr]:
    for index in range(len(node.values if isinstance(node, ast.Dict) else node.elts)):
        match node:
            case ast.Dict(keys=keys, values=values):
                kept = [key for number, key in enumerate(keys) if number != index]
                yield ast.Dict(kept, _without(values, index))
            case ast.Set(elts=elts):
                yield (
                    ast.Set(_without(elts, index))
                    if len(elts) > 1
                    else ast.Call(ast.Name("set"), [], [])
                )
            case ast.Tuple(elts=elts):
                yield ast.Tuple(_without(elts, index), ast.Load())
            case ast.List(elts=elts):
                yield ast.List(_without(elts, index), ast.Load())


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the replacements of an expression."""
    match node:
        case ast.Compare(left, ops, comparators):
            for index, op in enumerate(ops):
                for other in COMPARED[type(op)]:
                    yield ast.Compare(left, [*ops[:index], other(), *ops[index + 1 :]], comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for index in range(len(values)):
                rest = _without(values, index)
                yield ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.BinOp(left, ast.Add() | ast.Sub() as op, right):
            yield ast.BinOp(left, ast.Sub() if isinstance(op, ast.Add) else ast.Add(), right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.Attribute(ast.Name(enum), member) if enum in MEMBERS:
            yield from (
                ast.Attribute(ast.Name(enum), other, ast.Load())
                for other in MEMBERS[enum]
                if other != member
            )
        case ast.Call(func, args, keywords) if keywords:
            for index in range(len(keywords)):
                yield ast.Call(func, args, keywords[:index] + keywords[index + 1 :])
        case ast.Constant(value):
            yield from _constants(value)
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) | ast.Set() | ast.Dict():
            yield from _collections(node)


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the replacements of a statement."""
    match node:
        case ast.If(body=body, orelse=orelse):
            for forced in (True, False):
                yield ast.If(ast.Constant(forced), body, orelse)
        case ast.Return(value) if value is not None:
            yield from (ast.Return(None), ast.Pass())
        case ast.AugAssign(target, ast.Add(), value):
            yield from (ast.AugAssign(target, ast.Sub(), value), ast.Pass())
        case ast.Try(body, handlers, orelse, finalbody) if handlers:
            for index, handler in enumerate(handlers):
                raising = ast.ExceptHandler(handler.type, handler.name, [ast.Raise()])
                yield ast.Try(
                    body, [*handlers[:index], raising, *handlers[index + 1 :]], orelse, finalbody
                )
        case ast.Expr(ast.Constant()):
            return
        case (
            ast.Assign()
            | ast.AnnAssign()
            | ast.Expr()
            | ast.Raise()
            | ast.Continue()
            | ast.Break()
            | ast.Return()
        ):
            yield ast.Pass()


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.expr():
            yield from _expressions(node)
        case ast.stmt():
            yield from _statements(node)
        case ast.comprehension(target, source, ifs, is_async):
            for index in range(len(ifs)):
                yield ast.comprehension(target, source, _without(ifs, index), is_async)


def _changes(node: ast.AST) -> Iterator[None]:
    """Make each change below a node in turn; the next step of the iterator undoes it."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        place = value if isinstance(value, list) else [value]
        for index, child in enumerate(place):
            match child:
                case ast.JoinedStr() | ast.Expr(ast.Constant()):
                    continue
                case ast.AST():
                    for variant in _variants(child):
                        place[index] = variant
                        setattr(node, name, place if isinstance(value, list) else variant)
                        yield
                    place[index] = child
                    setattr(node, name, value)
                    yield from _changes(child)


def _function(tree: ast.Module, path: Sequence[str]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    found: ast.AST = tree
    for name in path:
        found = next(
            node for node in ast.iter_child_nodes(found) if getattr(node, "name", None) == name
        )
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    assert not found.decorator_list, "what a decorator makes has another code"
    return found


def _source(target: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    module, *path = target.split(".")
    source = (ROOT / "paymux" / f"{module}.py").read_text(encoding="utf-8")
    return _function(ast.parse(source), path)


def unchanged(target: str) -> Mutant:
    """Return a mutant without a change, which must survive.

    If it is killed, the tests fail for another reason than a change.
    """
    return Mutant(target=target, name=f"{target}, unchanged", text=ast.unparse(_source(target)))


def mutants(target: str) -> list[Mutant]:
    """Return every mutant of a function: `folder/module.function` or `module.Class.method`."""
    function = _source(target)
    before, made, named = ast.unparse(function), dict[str, Mutant](), Counter[str]()
    for _ in _changes(function):
        after = ast.unparse(function)
        if after == before or after in made:
            continue
        changed = [
            line
            for line in difflib.ndiff(before.splitlines(), after.splitlines())
            if line[0] in "-+"
        ]
        old, new = (
            " ".join(line[2:].strip() for line in changed if line[0] == sign) for sign in "-+"
        )
        name = f"{target}: {old} => {new}"
        named[name] += 1
        name = name if named[name] == 1 else f"{name} #{named[name]}"
        made[after] = Mutant(target=target, name=name, text=after)
    return list(made.values())


class Trial:
    """A pytest plugin that runs the collected tests once for each mutant."""

    def __init__(self, chosen: Sequence[Mutant], processes: int, *, show: bool) -> None:
        self._waiting = list(reversed(chosen))
        self._processes, self._show = processes, show
        self.survived: list[str] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants, after the tests have passed without a mutant."""
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # pytest's own: one folder for all children
        with tempfile.TemporaryFile() as said:
            status = os.waitpid(self._fork(session, None, said), 0)[1]
            if status or session.testsfailed or not session.items:
                said.seek(0)
                raise RuntimeError(f"these tests fail without a mutant:\n{said.read().decode()}")
            self._try(session, said)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print a failure immediately, because a child prints no summary."""
        if report.failed:
            print(f"{report.nodeid}\n{report.longreprtext}")

    def _try(self, session: pytest.Session, said: IO[bytes]) -> None:
        running: dict[int, Mutant] = {}
        while self._waiting or running:
            while self._waiting and len(running) < self._processes:
                mutant = self._waiting.pop()
                running[self._fork(session, mutant, said)] = mutant
            process, status = os.wait()
            mutant, code = running.pop(process), os.waitstatus_to_exitcode(status)
            # A mutant that repeats for ever may fill the memory, or use the CPU: it is ended then.
            if code not in (0, 1, -signal.SIGABRT, -signal.SIGXCPU):
                raise RuntimeError(f"{code}: the tests did not run with {mutant.name}")
            if code == 0:
                self.survived.append(mutant.name)
            if self._show:
                print(f"{'killed' if code else 'SURVIVED':9} {mutant.name}", flush=True)

    def _fork(self, session: pytest.Session, mutant: Mutant | None, said: IO[bytes]) -> int:
        process = os.fork()
        if not process:
            self._child(session, mutant, said)
        return process

    def _child(self, session: pytest.Session, mutant: Mutant | None, said: IO[bytes]) -> NoReturn:
        """Run the tests until one fails; exit with 1 for a failure, 0 for none, 70 otherwise."""
        code = 70
        try:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU + 1))
            if mutant is not None:
                mutant.take_its_place()
            for item, following in itertools.zip_longest(session.items, session.items[1:]):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    break
            code = int(session.testsfailed > 0)
        finally:
            sys.stdout.flush()
            os._exit(code)


def tried(
    tests: Sequence[str], chosen: Sequence[Mutant], processes: int, *, show: bool
) -> list[str]:
    """Try mutants against the tests of these files, in this process.

    Return the names of the survivors.
    """
    os.chdir(ROOT)
    trial = Trial(chosen, processes, show=show)
    parts = (name.rpartition("/") for name in tests)
    files = [f"tests/{folder}{slash}test_{name}.py" for folder, slash, name in parts]
    options = ["-q", "-s", "--tb=line", "-p", "no:cacheprovider", f"--timeout={PATIENCE}"]
    code = pytest.main([*options, "-k", f"not {CAMPAIGN}", *files], plugins=[trial])
    if code:
        raise RuntimeError(f"{code}: the mutants were not tried against {', '.join(tests)}")
    return trial.survived


def survivors(chosen: Sequence[Mutant], *, processes: int = 2, show: bool = False) -> list[Mutant]:
    """Try each mutant; return those with which all tests pass. Without a mutant, all must pass."""
    lived: set[str] = set()
    for tests in dict.fromkeys(TARGETS[mutant.target] for mutant in chosen):
        these = [mutant for mutant in chosen if TARGETS[mutant.target] == tests]
        # In another process, because pytest may be running in this one.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            lived.update(pool.submit(tried, tests, these, processes, show=show).result())
    return [mutant for mutant in chosen if mutant.name in lived]
