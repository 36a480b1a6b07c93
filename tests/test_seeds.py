"""What the five documents that this library was asked for say, each line beside the test that proves it.

`python -m tests.test_seeds` prints the table as Markdown.
"""

import ast
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from paymux import BadWebhook, Incoming, Pool, Status
from paymux.simulator import Simulator

from .virtual import BASE, KEY, timeless

TESTS = Path(__file__).parent


class Document(NamedTuple):
    """One document: its title, the file that proves most of it, and its lines: kind, what it says, proofs."""

    title: str
    file: str
    rows: tuple[tuple[str, ...], ...]


CAMPAY = Document(
    "CamPay API Documentation (a summary in French)",
    "drivers/test_campay.py",
    (
        ("endpoint", "base URL https://campay.net/api/", "test_each_dialect_and_mode_has_its_host"),
        (
            "endpoint",
            "POST /token/: log in",
            "test_a_login_gives_a_token_for_its_stated_seconds",
            "simulator/test_campay.py::test_a_bad_login_is_http_400",
        ),
        (
            "field",
            "/token/ username: the API key; password: the API secret",
            "test_a_login_gives_a_token_for_its_stated_seconds",
            "test_one_of_the_two_ways_to_log_in_is_needed",
        ),
        (
            "answer",
            "/token/ token, without a lifetime",
            "test_a_token_without_a_lifetime_has_a_stated_default",
            "test_a_login_without_a_token_is_no_login",
        ),
        (
            "field",
            "header Authorization: Token <ACCESS_TOKEN>",
            "test_a_permanent_token_needs_no_login",
            "simulator/test_campay.py::test_every_order_needs_a_good_token",
        ),
        (
            "field",
            "header Content-Type: application/json",
            "test_connection.py::test_json_of_a_money_request_is_what_arrives",
        ),
        (
            "endpoint",
            "GET /balance/: the balance",
            "test_the_summarys_balance_is_one_figure",
            "test_seeds.py::test_the_summary_of_campay_is_spoken_from_end_to_end",
        ),
        (
            "answer",
            "/balance/ available_balance (text) and currency XAF",
            "test_the_summarys_balance_is_one_figure",
        ),
        (
            "endpoint",
            "POST /collect/: mobile money in",
            "test_the_summary_collects_in_its_own_words",
            "test_seeds.py::test_the_summary_of_campay_is_spoken_from_end_to_end",
        ),
        (
            "field",
            "/collect/ amount as text, currency XAF, from as +2376XXXXXXX, description",
            "test_the_summary_collects_in_its_own_words",
        ),
        (
            "answer",
            "/collect/ reference, and status PENDING",
            "test_the_summary_collects_in_its_own_words",
            "test_both_dialects_understand_both_vocabularies",
        ),
        (
            "endpoint",
            "POST /disburse/: money out",
            "test_the_summary_pays_out_by_disburse",
            "test_seeds.py::test_the_summary_of_campay_is_spoken_from_end_to_end",
        ),
        (
            "field",
            "/disburse/ amount as text, currency, to as +2376YYYYYYY, description",
            "test_the_summary_pays_out_by_disburse",
        ),
        ("answer", "/disburse/ reference, and status PENDING", "test_the_summary_pays_out_by_disburse"),
        (
            "endpoint",
            "POST /transaction/: the status of a transaction",
            "test_the_summary_verifies_by_a_post_that_moves_nothing",
        ),
        ("field", "/transaction/ reference", "test_the_summary_verifies_by_a_post_that_moves_nothing"),
        (
            "answer",
            "/transaction/ reference, status, amount (text), currency",
            "test_the_summary_verifies_by_a_post_that_moves_nothing",
        ),
        (
            "callback",
            "notifications come to a callback_url; no request of the document has a field for it",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
            "test_contract.py::test_what_an_order_cannot_carry_is_refused",
        ),
        (
            "callback",
            "reference, status, amount, currency, customer (+2376XXXXXXX), without a signature",
            "test_the_unsigned_callback_of_the_summary_is_a_mere_hint",
            "simulator/test_campay.py::test_the_summarys_callback_is_the_documents",
        ),
        (
            "advice",
            "always check the signature before crediting",
            "test_a_forged_signature_is_refused",
            "test_the_unsigned_callback_of_the_summary_is_a_mere_hint",
        ),
        (
            "advice",
            "always check the status before crediting",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
            "test_contract.py::test_a_forged_message_is_refused_or_found_out",
        ),
        ("word", "PENDING: waiting", "test_only_known_words_end_a_payment"),
        ("word", "SUCCESS: succeeded", "test_only_known_words_end_a_payment"),
        ("word", "FAILED: failed", "test_only_known_words_end_a_payment"),
        (
            "word",
            "CANCELLED: cancelled",
            "test_only_known_words_end_a_payment",
            "test_seeds.py::test_the_summary_of_campay_is_spoken_from_end_to_end",
        ),
        (
            "advice",
            "refresh the token periodically",
            "test_tokens.py::test_a_token_is_renewed_in_the_background",
            "test_contract.py::test_a_stale_token_costs_one_login_and_one_charge",
        ),
        ("advice", "use HTTPS for the callback", "test_hooks.py::test_a_wrong_base_or_key_is_refused"),
        (
            "advice",
            "log all requests and answers",
            "test_transport.py::test_every_exchange_is_one_record",
            "test_contract.py::test_no_secret_is_ever_shown",
        ),
        (
            "advice",
            "implement retries on the server's side",
            "test_outcome.py::test_everything_else_is_unknown",
            "test_contract.py::test_a_lost_answer_is_unknown_and_charges_once_at_most",
        ),
    ),
)

CINETPAY = Document(
    "CinetPay: integration of the Checkout API, 2021-08-02",
    "drivers/test_cinetpay.py",
    (
        (
            "endpoint",
            "POST https://api-checkout.cinetpay.com/v2/payment: a link to the payment page",
            "test_the_guides_own_order_goes_out_as_the_guide_writes_it",
            "test_opening_a_page_is_money_that_is_never_sent_twice",
            "test_there_is_no_sandbox",
        ),
        (
            "field",
            "header Content-Type: application/json",
            "test_connection.py::test_json_of_a_money_request_is_what_arrives",
            "simulator/test_cinetpay.py::test_only_json_from_a_named_client_is_read",
        ),
        (
            "field",
            "/v2/payment apikey and site_id, in the body",
            "test_the_guides_own_order_goes_out_as_the_guide_writes_it",
            "test_requests_of_others_are_signed_too",
        ),
        (
            "field",
            "/v2/payment transaction_id: ours, and unique",
            "test_an_opened_page_is_pending_and_keeps_its_ids",
            "test_contract.py::test_a_second_use_of_a_reference_is_what_the_facts_say",
        ),
        (
            "field",
            "/v2/payment amount: int",
            "test_the_guides_own_order_goes_out_as_the_guide_writes_it",
            "test_contract.py::test_an_amount_travels_as_documented",
        ),
        (
            "field",
            '/v2/payment amount as text ("2500") in the curl example: whole units all the same',
            "simulator/test_cinetpay.py::test_what_the_page_allows_is_accepted",
        ),
        (
            "field",
            "/v2/payment currency and description",
            "test_the_guides_own_order_goes_out_as_the_guide_writes_it",
            "test_bad_input_is_refused_before_anything_is_sent",
        ),
        (
            "field",
            '/v2/payment customer_name "le nom" and customer_surname "le prénom"',
            "test_family_and_given_name_are_on_the_right_keys",
        ),
        (
            "field",
            "/v2/payment notify_url: where to notify",
            "test_the_guides_own_order_goes_out_as_the_guide_writes_it",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
        ),
        (
            "field",
            "/v2/payment return_url: where the browser goes after the payment",
            "test_the_guides_own_order_goes_out_as_the_guide_writes_it",
            "test_contract.py::test_a_browser_that_came_back_is_a_hint",
        ),
        ("field", "currency XOF", "test_the_five_currencies_travel_whole"),
        ("field", "currency XAF", "test_the_five_currencies_travel_whole"),
        ("field", "currency CDF", "test_the_five_currencies_travel_whole"),
        ("field", "currency GBF, of Guinea (GNF in ISO 4217)", "test_gbf_travels_as_gnf_with_a_warning"),
        (
            "field",
            "countries: Burkina Faso, Ivory Coast, Mali, Togo, Senegal, Cameroon, DR Congo, Guinea",
            "test_seeds.py::test_numbers_of_every_country_of_the_guide_can_pay",
        ),
        (
            "code",
            "an identifier sent before is answered with an error",
            "test_a_reference_used_before_is_a_duplicate",
            "simulator/test_cinetpay.py::test_a_transaction_id_is_good_once",
        ),
        ("answer", '/v2/payment code "201", message CREATED', "test_an_opened_page_is_pending_and_keeps_its_ids"),
        (
            "answer",
            "/v2/payment description, data",
            "test_an_opened_page_is_pending_and_keeps_its_ids",
            "test_an_answer_that_is_no_page_and_no_listed_refusal_is_unknown",
        ),
        (
            "answer",
            "/v2/payment data.payment_token and data.payment_url",
            "test_an_opened_page_is_pending_and_keeps_its_ids",
        ),
        (
            "answer",
            "/v2/payment api_response_id",
            "test_an_opened_page_is_pending_and_keeps_its_ids",
            "test_an_error_keeps_code_message_description_and_id",
        ),
        (
            "code",
            "an error has code, message, description and api_response_id, and no data",
            "test_an_error_keeps_code_message_description_and_id",
            "test_a_listed_refusal_of_a_page_is_sure_on_any_status",
        ),
        (
            "advice",
            "always store payment_token",
            "test_an_opened_page_is_pending_and_keeps_its_ids",
            "test_contract.py::test_a_payment_survives_json",
        ),
        (
            "callback",
            "POST to notify_url, as JSON: the payment has changed its status",
            "test_the_minimal_notification_is_a_hint",
            "simulator/test_cinetpay.py::test_the_older_page_notifies_two_fields",
        ),
        (
            "callback",
            "cpm_trans_id",
            "test_the_minimal_notification_is_a_hint",
            "test_a_hostile_notification_is_refused_in_our_words",
        ),
        (
            "callback",
            "cpm_site_id: our own",
            "test_the_minimal_notification_is_a_hint",
            "test_another_accounts_notification_is_refused",
        ),
        (
            "callback",
            "the document's example has the two values the wrong way round: another account's, so refused",
            "test_seeds.py::test_cinetpays_own_example_of_a_notification_is_refused",
        ),
        (
            "advice",
            "a notification never tells the status: ask /v2/payment/check",
            "test_the_minimal_notification_is_a_hint",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
        ),
        (
            "advice",
            "do nothing twice: a payment already succeeded stays so (checkIfPaymentIsAlreadySuccess)",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
            "test_confirm.py::test_a_repeated_message_is_not_swallowed",
        ),
        (
            "advice",
            "after SUCCESS deliver, after PAYMENT_FAILED cancel the order, else nothing (postPaymentProcessing)",
            "test_contract.py::test_a_collect_is_watched_to_its_success",
            "test_contract.py::test_what_was_not_paid_ends_as_a_value",
            "test_contract.py::test_an_unknown_word_stays_pending",
        ),
        (
            "endpoint",
            "POST https://api-checkout.cinetpay.com/v2/payment/check: the status",
            "test_a_check_asks_by_transaction_id",
        ),
        ("field", "/v2/payment/check apikey, site_id, transaction_id", "test_a_check_asks_by_transaction_id"),
        (
            "field",
            "/v2/payment/check payment_token: one of the two ids is enough",
            "test_a_check_asks_by_token_where_that_is_all_we_hold",
            "test_a_check_of_nothing_is_refused_before_sending",
        ),
        (
            "advice",
            "the Python example sends a form under a JSON header: ours is JSON",
            "test_a_check_asks_by_transaction_id",
            "simulator/test_cinetpay.py::test_only_json_from_a_named_client_is_read",
        ),
        (
            "answer",
            "/v2/payment/check code, message, api_response_id, data",
            "test_the_form_of_2021_is_understood",
            "test_an_accepted_payment_is_read_whole",
        ),
        (
            "answer",
            "/v2/payment/check operator_id, payment_method",
            "test_the_form_of_2021_is_understood",
            "test_an_accepted_payment_is_read_whole",
        ),
        (
            "answer",
            "/v2/payment/check payment_date",
            "test_the_form_of_2021_is_understood",
            "test_an_accepted_payment_is_read_whole",
        ),
        (
            "answer",
            "/v2/payment/check phone_prefix and phone_number",
            "test_prefix_and_number_make_the_payer",
            "test_the_form_of_2021_is_understood",
        ),
        ("code", "00: succeeded", "test_the_code_decides_where_there_is_no_status"),
        ("code", "600: failed", "test_the_code_decides_where_there_is_no_status"),
        (
            "word",
            'message SUCCES in the answer, and SUCCESS in the examples ("message" alone decides nothing)',
            "test_a_message_alone_decides_nothing",
        ),
        (
            "word",
            "message PAYMENT_FAILED",
            "test_a_message_alone_decides_nothing",
            "test_the_form_of_2021_is_understood",
        ),
        (
            "advice",
            "the return page must work: its address is checked, and what it says is a hint",
            "test_bad_input_is_refused_before_anything_is_sent",
            "test_the_browser_comes_back_with_a_hint",
        ),
    ),
)

INTRAM = Document(
    "Intram: HTTP",
    "drivers/test_intram.py",
    (
        (
            "endpoint",
            "base URL https://webservices.intram.org:4002/api/v1/",
            "test_one_address_on_port_4002_serves_both_modes",
        ),
        (
            "field",
            "headers X-API-KEY, X-PRIVATE-KEY, X-SECRET-KEY on every request",
            "test_the_keys_travel_in_headers",
        ),
        (
            "field",
            "header X-MARCHAND-KEY: the merchant's id",
            "test_the_keys_travel_in_headers",
            "simulator/test_intram.py::test_the_merchant_id_was_required_before_2026",
        ),
        (
            "field",
            "header Content-Type: application/json",
            "test_connection.py::test_json_of_a_money_request_is_what_arrives",
            "simulator/test_intram.py::test_a_form_is_no_request",
        ),
        (
            "endpoint",
            "POST /payments/request: start a payment",
            "test_the_keys_travel_in_headers",
            "test_an_opened_page_is_pending_with_its_address",
        ),
        ("field", "invoice.keys public, private, secret", "test_keys_go_into_the_body_only_when_asked"),
        (
            "field",
            "invoice.currency XOF, invoice.amount as a number, invoice.description",
            "test_the_full_body_is_the_page_s",
            "test_the_amount_is_an_integer_that_items_and_taxes_never_change",
        ),
        (
            "field",
            "invoice.items, invoice.taxes",
            "test_the_full_body_is_the_page_s",
            "test_lines_that_are_not_whole_francs_are_refused",
        ),
        ("field", "invoice.custom_datas", "test_the_full_body_is_the_page_s", "test_our_reference_is_read_back"),
        (
            "field",
            "store name",
            "test_a_store_needs_a_name",
            "test_store_fields_are_the_account_s_and_one_order_s",
        ),
        (
            "field",
            "store postal_adress, logo_url, web_site_url, template",
            "test_the_full_body_is_the_page_s",
            "test_a_wrong_store_names_the_field",
        ),
        (
            "field",
            "store phone, whatever it is: +22500000000",
            "test_store_fields_are_the_account_s_and_one_order_s",
        ),
        (
            "field",
            "actions cancel_url, return_url, callback_url",
            "test_the_full_body_is_the_page_s",
            "test_a_missing_address_is_refused",
        ),
        (
            "endpoint",
            "the minimal request: currency, amount, the store's name, the three URLs",
            "test_the_minimal_body_is_the_page_s",
        ),
        (
            "endpoint",
            "GET /transactions/confirm/{transaction_id}: the status",
            "test_the_keys_travel_in_headers",
            "test_the_flat_confirmation",
            "test_the_nested_confirmation",
            "test_the_node_client_s_confirmation",
        ),
        ("code", "HTTP 200: success", "test_no_error_flag_is_no_error", "test_errors"),
        ("code", "HTTP 400: an error of the request", "test_errors"),
        ("code", "HTTP 401: an error of authentication", "test_errors"),
        (
            "code",
            "HTTP 500: an error of the server",
            "test_errors",
            "simulator/test_intram.py::test_a_server_error_says_nothing_of_what_was_done",
        ),
        (
            "code",
            "an error comes with a message in JSON, with its status",
            "test_errors",
            "test_the_error_flag_in_its_forms",
        ),
        (
            "advice",
            "never share the API keys",
            "test_no_secret_is_ever_shown",
            "test_contract.py::test_no_secret_is_ever_shown",
        ),
        (
            "advice",
            "use HTTPS for every request",
            "test_settings.py::test_plain_http_is_for_this_machine_only",
            "test_connection.py::test_a_live_host_is_asked_by_https_only",
        ),
        (
            "advice",
            "always validate callbacks on the server's side",
            "test_a_nested_callback_is_a_hint",
            "test_contract.py::test_a_forged_message_is_refused_or_found_out",
        ),
        (
            "callback",
            "actions.callback_url is called",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
            "simulator/test_intram.py::test_the_callback_is_unsigned_in_three_shapes",
        ),
        (
            "advice",
            "use the sandbox for tests; the address is the same, the keys decide",
            "test_one_address_on_port_4002_serves_both_modes",
            "test_a_key_of_the_other_mode_is_refused",
        ),
        (
            "advice",
            "transactions of the sandbox are not real",
            "test_a_sandbox_success_on_a_live_account_is_a_mismatch",
            "test_contract.py::test_a_test_success_on_a_live_account_is_a_mismatch",
        ),
    ),
)

GATEWAY = Document(
    "Payment API Documentation (a merchant's gateway over M-Pesa)",
    "drivers/test_mpesa_gateway.py",
    (
        (
            "setting",
            "MPESA_ENVIRONMENT 'sandbox' or 'production'",
            "drivers/test_mpesa.py::test_settings_are_read_by_their_django_names",
            "drivers/test_mpesa.py::test_a_missing_or_wrong_setting_is_named",
        ),
        (
            "setting",
            "MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET, MPESA_SHORTCODE, MPESA_PASSKEY",
            "drivers/test_mpesa.py::test_settings_are_read_by_their_django_names",
        ),
        (
            "endpoint",
            "POST /api/payment/mpesa/: initiate",
            "test_collect_sends_the_documents_request_with_the_reference_as_an_integer",
        ),
        (
            "field",
            "initiate phone_number, amount 1000.00",
            "test_collect_sends_the_documents_request_with_the_reference_as_an_integer",
            "test_an_amount_is_a_number_with_two_decimals",
        ),
        (
            "field",
            "initiate order_id: an integer",
            "test_an_order_id_is_an_integer_on_the_wire",
            "test_a_reference_that_is_not_the_integer_order_id_is_refused",
        ),
        (
            "field",
            "header Content-Type: application/json",
            "test_connection.py::test_json_of_a_money_request_is_what_arrives",
        ),
        (
            "answer",
            "initiate message, transaction_id, checkout_request_id",
            "test_collect_sends_the_documents_request_with_the_reference_as_an_integer",
            "test_a_callback_is_found_by_the_id_that_collect_kept",
        ),
        ("word", '"Payment initiated" is not paid', "test_an_accepted_push_is_not_a_paid_one"),
        ("endpoint", "POST /api/payment/verify/", "test_verify_asks_with_both_ids_and_understands_completed"),
        (
            "field",
            "verify transaction_id and order_id",
            "test_verify_asks_with_both_ids_and_understands_completed",
            "test_verify_needs_both_ids",
        ),
        (
            "answer",
            "verify status, message",
            "test_verify_asks_with_both_ids_and_understands_completed",
            "test_a_verify_answer_without_a_status_is_none",
        ),
        ("word", "status completed", "test_each_status_word_has_one_meaning"),
        (
            "callback",
            "POST /api/payment/mpesa-callback/, without a token",
            "simulator/test_mpesa_gateway.py::test_darajas_callback_decides",
            "test_the_documents_callback_is_a_claim_of_success",
        ),
        (
            "callback",
            "Body.stkCallback MerchantRequestID, CheckoutRequestID, ResultCode, ResultDesc",
            "test_the_documents_callback_is_a_claim_of_success",
            "drivers/test_mpesa.py::test_callbacks_without_metadata_are_read",
        ),
        (
            "callback",
            "ResultCode 0 without CallbackMetadata is a success",
            "test_the_documents_callback_is_a_claim_of_success",
            "simulator/test_mpesa.py::test_a_success_may_come_without_metadata",
        ),
        (
            "callback",
            "the path has the word mpesa, which Safaricom advises against in a callback URL",
            "test_seeds.py::test_the_documents_own_callback_path_works",
            "drivers/test_mpesa.py::test_a_word_to_avoid_in_the_callback_address_is_warned_of_and_not_refused",
        ),
        (
            "endpoint",
            "GET /api/payment/history/",
            "test_history_reads_the_documents_page",
            "test_contract.py::test_a_verb_that_the_provider_has_answers",
        ),
        (
            "answer",
            "history results: id, amount, status, payment_method, created_at",
            "test_history_reads_the_documents_page",
        ),
        (
            "answer",
            "history total, page",
            "test_history_counts_the_documents_pages",
            "test_another_page_than_the_one_asked_for_is_no_answer",
        ),
        (
            "endpoint",
            "GET /api/payment/transactions/{transaction_id}/receipt/",
            "test_a_receipt_is_read_back_into_money",
        ),
        (
            "answer",
            "receipt receipt_number, date, payment_method, status, customer_name, order_reference",
            "test_a_receipt_is_read_back_into_money",
            "test_a_receipt_without_a_number_is_no_answer",
        ),
        (
            "answer",
            'receipt amount "KES 1,000.00"',
            "test_receipt_amounts_are_exact",
            "test_a_receipt_whose_amount_cannot_be_read_is_no_answer",
        ),
        (
            "endpoint",
            "POST /api/payment/transactions/{transaction_id}/refund/",
            "test_a_refund_is_pending_until_something_proves_it",
            "test_contract.py::test_a_refund_is_pending_and_asked_for_once",
        ),
        ("field", "refund amount, reason", "test_a_refund_is_pending_until_something_proves_it"),
        (
            "answer",
            'refund message "Refund processed successfully", refund_id',
            "test_a_refund_is_pending_until_something_proves_it",
            "test_a_refund_answer_that_says_nothing_is_unknown",
        ),
        ("endpoint", "GET /api/payment/methods/", "test_methods_lists_the_ways_to_pay"),
        ("answer", "methods type, display_name, enabled, currency", "test_methods_lists_the_ways_to_pay"),
        ("endpoint", "POST /api/payment/methods/", "test_add_method_sends_the_documents_request"),
        (
            "field",
            "add a method: type, details.phone_number, is_default",
            "test_add_method_sends_the_documents_request",
        ),
        (
            "code",
            "an error is {error, code, details}",
            "test_a_documented_code_refuses_an_order",
            "test_every_known_error_shape_is_read_on_a_look_up",
        ),
        ("code", "INVALID_PHONE", "test_a_documented_code_refuses_an_order"),
        ("code", "AMOUNT_TOO_LOW", "test_a_documented_code_refuses_an_order"),
        ("code", "AMOUNT_TOO_HIGH", "test_a_documented_code_refuses_an_order"),
        (
            "code",
            "PAYMENT_FAILED",
            "test_a_declined_payment_is_a_value",
            "test_what_became_of_a_payment_does_not_refuse_one",
        ),
        (
            "code",
            "PAYMENT_EXPIRED",
            "test_a_declined_payment_is_a_value",
            "test_what_became_of_a_payment_does_not_refuse_one",
        ),
        ("code", "INVALID_CURRENCY", "test_a_documented_code_refuses_an_order"),
        (
            "callback",
            "WebSocket PAYMENT_UPDATE, with data.status",
            "test_the_documents_update_is_a_claim",
            "test_seeds.py::test_a_frame_of_the_gateway_wakes_a_watch_which_asks",
        ),
        (
            "endpoint",
            "POST /api/payment/test/mpesa/, in the sandbox",
            "test_the_test_payment_sends_the_documents_request",
            "test_tests_are_for_the_sandbox",
        ),
        ("field", "test payment: phone_number, amount", "test_the_test_payment_sends_the_documents_request"),
        ("endpoint", "POST /api/payment/test/callback/", "test_the_test_callback_sends_the_documents_request"),
        ("field", "test callback: transaction_id, status", "test_the_test_callback_sends_the_documents_request"),
        (
            "field",
            "every endpoint wants a JWT: Authorization: Bearer <token>",
            "test_a_token_given_as_text_signs_every_request",
            "test_contract.py::test_a_stale_token_costs_one_login_and_one_charge",
        ),
        (
            "limit",
            "100 initiations a minute",
            "test_the_documented_limits_are_declared",
            "test_seeds.py::test_the_gateways_limits_are_never_met",
        ),
        (
            "limit",
            "1000 status checks a minute",
            "test_the_documented_limits_are_declared",
            "test_seeds.py::test_the_gateways_limits_are_never_met",
        ),
        (
            "limit",
            "phone numbers are 254XXXXXXXXX",
            "test_a_number_travels_as_254_and_nine_digits",
            "test_another_number_is_refused",
        ),
        (
            "limit",
            "the amount is within the method's limits",
            "test_an_amount_outside_the_methods_limits_is_refused",
            "test_limits_are_whole_shillings",
        ),
        ("limit", "the currency matches the method", "test_only_shillings_are_taken"),
        (
            "advice",
            "integration steps 1 to 5: settings, initiation, callback, verification, errors and retries",
            "drivers/test_mpesa.py::test_settings_are_read_by_their_django_names",
            "test_contract.py::test_a_collect_is_watched_to_its_success",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
            "test_contract.py::test_an_odd_answer_to_a_look_up_is_unavailable",
        ),
        (
            "advice",
            "integration step 6: test in the sandbox",
            "test_the_test_payment_sends_the_documents_request",
            "test_tests_are_for_the_sandbox",
        ),
        (
            "advice",
            "integration step 7: monitor transactions; best practice 3: keep logs for reconciliation",
            "test_transport.py::test_every_exchange_is_one_record",
            "test_history_keeps_to_the_period",
        ),
        (
            "advice",
            "verify before fulfilling an order",
            "test_contract.py::test_a_forged_message_is_refused_or_found_out",
            "test_contract.py::test_a_success_that_comes_before_the_money_confirms_nothing",
        ),
        (
            "advice",
            "payment requests are idempotent",
            "test_contract.py::test_the_same_order_twice_at_once_is_one_request",
            "test_nothing_is_promised_of_duplicates_or_look_ups_by_reference",
            "test_contract.py::test_a_lost_answer_is_unknown_and_charges_once_at_most",
        ),
        (
            "advice",
            "time-outs and network errors are handled gracefully",
            "test_contract.py::test_a_lost_answer_is_unknown_and_charges_once_at_most",
            "test_verify_408_and_5xx_are_unknown",
        ),
        (
            "advice",
            "security measures; credentials are kept secure",
            "test_secrets_are_nowhere",
            "test_contract.py::test_no_secret_is_ever_shown",
            "test_connection.py::test_a_live_host_is_asked_by_https_only",
        ),
        (
            "advice",
            "monitor success rates: every end is a status, and every failure has a reason",
            "test_contract.py::test_what_was_not_paid_ends_as_a_value",
        ),
    ),
)

PAYDUNYA = Document(
    "PayDunya: HTTP/JSON",
    "drivers/test_paydunya.py",
    (
        (
            "setting",
            "keys per application; test keys begin with test_",
            "test_what_every_call_needs_is_required",
            "test_a_key_of_the_other_mode_is_refused",
        ),
        (
            "endpoint",
            "PAR: POST https://app.paydunya.com/sandbox-api/v1/checkout-invoice/create",
            "test_sandbox_and_live_have_their_own_addresses",
            "test_the_least_invoice_is_the_pages",
        ),
        (
            "endpoint",
            "PAR: POST https://app.paydunya.com/api/v1/checkout-invoice/create",
            "test_sandbox_and_live_have_their_own_addresses",
        ),
        (
            "endpoint",
            "PSR: the page's third API, a popup over an invoice of ours",
            "test_the_popup_gets_what_it_asks_for",
            "test_a_popup_needs_a_page",
        ),
        (
            "field",
            "headers PAYDUNYA-MASTER-KEY, PAYDUNYA-PRIVATE-KEY, PAYDUNYA-TOKEN",
            "test_three_headers_sign_every_request",
        ),
        (
            "field",
            "header Content-Type: application/json; answers are JSON, but for the callback",
            "test_connection.py::test_json_of_a_money_request_is_what_arrives",
            "test_html_is_no_answer",
        ),
        (
            "answer",
            "response_code and response_text in every answer",
            "test_a_page_that_was_not_made_says_why",
            "test_a_look_up_that_failed_says_why",
        ),
        (
            "code",
            '"00": success; anything else is none',
            "test_the_code_may_be_a_number",
            "test_an_answer_without_a_page_is_no_page",
        ),
        (
            "answer",
            "create: response_text is the page's address; description, token",
            "test_the_response_text_is_the_pages_address",
        ),
        (
            "field",
            "invoice.total_amount and store.name: the obligatory ones",
            "test_the_least_invoice_is_the_pages",
            "test_what_every_call_needs_is_required",
            "simulator/test_paydunya.py::test_a_bad_invoice_is_refused_with_http_200",
        ),
        ("field", "invoice.description", "test_the_least_invoice_is_the_pages"),
        (
            "field",
            "items item_0 …: name, quantity, unit_price, total_price (text), description",
            "test_the_full_invoice_is_the_pages",
        ),
        ("field", "items never charge anything", "test_items_and_taxes_never_change_the_amount"),
        (
            "field",
            "taxes tax_0 …: name, amount (a number)",
            "test_the_full_invoice_is_the_pages",
            "test_items_and_taxes_never_change_the_amount",
        ),
        (
            "field",
            "store name, tagline, postal_address, phone, logo_url, website_url",
            "test_the_store_is_shown_as_the_page_names_it",
        ),
        (
            "field",
            "custom_data: kept, shown to nobody, given back",
            "test_the_full_invoice_is_the_pages",
            "test_our_reference_comes_back_and_the_rest_is_metadata",
        ),
        (
            "field",
            "actions.cancel_url: where the browser goes after a cancellation",
            "test_the_full_invoice_is_the_pages",
            "simulator/test_paydunya.py::test_a_person_decides_on_the_page",
        ),
        (
            "field",
            "actions.return_url: where it goes after a payment, with ?token= added",
            "test_the_full_invoice_is_the_pages",
            "test_the_return_page_tells_the_token",
        ),
        (
            "field",
            "actions.callback_url: where the IPN goes",
            "test_the_full_invoice_is_the_pages",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
        ),
        (
            "endpoint",
            "PER: POST https://app.paydunya.com/sandbox-api/v1/direct-pay/credit-account",
            "test_a_transfer_is_the_pages_and_done_at_once",
            "test_sandbox_and_live_have_their_own_addresses",
        ),
        (
            "endpoint",
            "PER: POST https://app.paydunya.com/api/v1/direct-pay/credit-account",
            "test_a_transfer_is_the_pages_and_done_at_once",
            "test_sandbox_and_live_have_their_own_addresses",
        ),
        (
            "field",
            "credit-account account_alias (a local number), amount (a number)",
            "test_a_transfer_is_the_pages_and_done_at_once",
            "test_an_account_is_credited_by_number_or_e_mail",
        ),
        (
            "answer",
            "credit-account response_code, response_text, description with the amount, transaction_id",
            "test_a_transfer_is_the_pages_and_done_at_once",
            "test_an_answer_that_is_not_this_transfers_is_unknown",
        ),
        (
            "advice",
            "PER must be switched on in the application's settings",
            "simulator/test_paydunya.py::test_credits_are_an_option_and_come_from_the_balance",
        ),
        (
            "callback",
            "the IPN: a POST of a form, x-www-form-urlencoded, below `data`",
            "test_a_message_is_read_in_every_form",
            "simulator/test_paydunya.py::test_the_ipn_is_the_confirmation_under_data",
        ),
        (
            "callback",
            "the IPN has the shape of a confirmation, invoice.token included, and text for numbers",
            "test_a_message_is_read_in_every_form",
            "test_a_message_without_a_token_names_nothing",
        ),
        ("callback", "paid, failed and cancelled payments differ by status alone", "test_messages_tell_every_end"),
        (
            "callback",
            "hash: the SHA-512 of the master key",
            "test_the_hash_is_that_of_the_master_key_in_either_case",
            "test_a_wrong_or_missing_hash_is_refused",
        ),
        (
            "advice",
            'the hash "shows that the data come from our servers": the same for every message, so a hint only',
            "test_a_replayed_hash_proves_nothing",
        ),
        (
            "endpoint",
            "GET https://app.paydunya.com/sandbox-api/v1/checkout-invoice/confirm/[invoice_token]",
            "test_the_look_up_goes_to_the_invoices_token",
            "test_sandbox_and_live_have_their_own_addresses",
        ),
        (
            "endpoint",
            "GET https://app.paydunya.com/api/v1/checkout-invoice/confirm/[invoice_token]",
            "test_the_look_up_goes_to_the_invoices_token",
            "test_sandbox_and_live_have_their_own_addresses",
        ),
        (
            "answer",
            "confirm invoice: items, taxes, token, total_amount, description",
            "test_a_completed_invoice_succeeded",
            "test_another_invoice_is_a_mismatch",
        ),
        (
            "answer",
            "confirm custom_data",
            "test_a_completed_invoice_succeeded",
            "test_our_reference_comes_back_and_the_rest_is_metadata",
        ),
        (
            "answer",
            "confirm actions: what we said ourselves, and not read",
            "simulator/test_paydunya.py::test_a_confirmation_has_its_state_in_status",
        ),
        (
            "answer",
            "confirm mode: test or live",
            "test_the_mode_is_the_providers",
            "test_a_test_payment_on_a_live_account_is_a_mismatch",
        ),
        ("answer", "confirm status", "test_a_completed_invoice_succeeded"),
        (
            "answer",
            "confirm fail_reason, of cards only",
            "test_a_cancelled_invoice_says_why",
            "test_a_failed_invoice_says_why",
        ),
        ("answer", "confirm customer: name, phone, email", "test_a_completed_invoice_succeeded"),
        ("answer", "confirm receipt_url: a PDF", "test_a_completed_invoice_succeeded"),
        ("word", "pending", "test_a_pending_invoice_is_pending"),
        ("word", "completed", "test_a_completed_invoice_succeeded"),
        ("word", "cancelled", "test_a_cancelled_invoice_says_why"),
        ("word", "failed", "test_a_failed_invoice_says_why"),
        (
            "advice",
            "a confirmation may take a while: the IPN tells at once, the token asks",
            "test_contract.py::test_a_collect_is_watched_to_its_success",
            "test_contract.py::test_a_message_is_confirmed_by_asking",
        ),
    ),
)

DOCUMENTS = (CAMPAY, CINETPAY, INTRAM, GATEWAY, PAYDUNYA)
KINDS = ("endpoint", "field", "answer", "word", "code", "callback", "limit", "setting", "advice")


def _proofs(document: Document, row: tuple[str, ...]) -> list[str]:
    return [proof if "::" in proof else f"{document.file}::{proof}" for proof in row[2:]]


def _tests(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield f"{file.relative_to(TESTS).as_posix()}::{node.name}"


def table() -> str:
    """Print every line of the documents beside its proof, as Markdown."""
    parts = []
    for document in DOCUMENTS:
        parts.append(f"\n## {document.title}\n\n| | the document says | proved by |\n|---|---|---|\n")
        for row in document.rows:
            proofs = "<br>".join(f"`{proof}`" for proof in _proofs(document, row))
            parts.append(f"| {row[0]} | {row[1].replace('|', chr(92) + '|')} | {proofs} |\n")
    return "".join(parts).lstrip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.file)
def test_every_line_of_a_document_is_proved(document: Document) -> None:
    """No row is empty or said twice, and each names tests that exist."""
    known = {name for file in TESTS.rglob("test_*.py") for name in _tests(file)}
    for row in document.rows:
        assert row[0] in KINDS
        assert row[1].strip()
        assert _proofs(document, row), row
        assert not [proof for proof in _proofs(document, row) if proof not in known], row
    assert max(Counter(row[:2] for row in document.rows).values()) == 1


def test_the_table_is_printed_whole() -> None:
    """The Markdown has a line for each row, with three cells."""
    lines = [line for line in table().splitlines() if line.startswith("| ")]
    assert len(lines) == sum(len(document.rows) + 1 for document in DOCUMENTS)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines)


@timeless
async def test_the_summary_of_campay_is_spoken_from_end_to_end() -> None:
    """Balance, collect, payout, status and callback of the user's own document work in its dialect."""
    sim, messages = Simulator(), list[Incoming]()
    sim.campay.dialect = "summary"
    sim.on_webhook(messages.append)
    driver = sim.driver("campay", dialect="summary", webhook_key="")
    async with Pool(driver, connection=sim.connection, webhook_base=BASE, webhook_key=KEY) as pool:
        sim.campay.webhook_url = pool.webhook_url("campay")
        assert (await pool.balance("campay")).available == 2_000_000
        order: dict[str, Any] = {"currency": "XAF", "description": "Achat data"}
        paid, left = [
            await pool.collect("campay", amount=1000, payer="+237670000000", reference=reference, **order)
            for reference in ("data-1", "data-2")
        ]
        sim.settle("data-1", Status.SUCCEEDED)
        sim.settle(left.provider_reference or "", Status.CANCELLED)
        await asyncio.sleep(1)
        assert (await pool.verify(paid)).provider_status == "SUCCESS"
        assert (await pool.verify(left)).status is Status.CANCELLED
        told = await pool.confirm(pool.webhook(messages[0]), expected=paid)
        assert (told.status, told.reference) == (Status.SUCCEEDED, "data-1")
        out = await pool.payout("campay", amount=2000, payee="237690000000", reference="wage-1", **order)
        sim.settle(out.provider_reference or "", Status.SUCCEEDED)
        assert (await pool.verify(out)).status is Status.SUCCEEDED
        assert sim.ledger.charged() == 1000
        assert sim.ledger.paid_out() == 2000
        paths = {request.path for request in sim.received("campay")}
        assert paths == {f"/api/{name}/" for name in ("token", "balance", "collect", "disburse", "transaction")}


@pytest.mark.parametrize(
    ("currency", "written", "payer"),
    [
        ("XOF", "22670123456", "22670123456"),
        ("XOF", "2250712345678", "2250712345678"),
        ("XOF", "22365012345", "22365012345"),
        ("XOF", "22890112345", "22890112345"),
        ("XOF", "221771234567", "221771234567"),
        ("XAF", "237670000000", "237670000000"),
        ("XAF", "6 70 00 00 00", "237670000000"),
        ("CDF", "243991234567", "243991234567"),
        ("CDF", "0991 234 567", "243991234567"),
        ("GNF", "224601123456", "224601123456"),
    ],
)
@timeless
async def test_numbers_of_every_country_of_the_guide_can_pay(currency: str, written: str, payer: str) -> None:
    """A payer of each country in CinetPay's table is taken, in that country's currency.

    Where no other country has the currency, the national number is enough.
    """
    sim = Simulator()
    sim.cinetpay.pings = False
    driver = sim.driver("cinetpay")
    async with Pool(driver, connection=sim.connection, webhook_base=BASE, webhook_key=KEY) as pool:
        await pool.collect(
            "cinetpay",
            amount=1000,
            currency=currency,
            payer=written,
            reference="order-1",
            description="Data bundle",
            return_url="https://shop.example/back",
        )
    (entry,) = sim.ledger
    assert (entry.party, entry.currency) == (payer, currency)


@timeless
async def test_a_frame_of_the_gateway_wakes_a_watch_which_asks() -> None:
    """PAYMENT_UPDATE makes a watch look at once instead of at its next turn; the frame itself decides nothing."""
    sim = Simulator()
    async with Pool(sim.driver("mpesa_gateway"), connection=sim.connection) as pool:
        order: dict[str, Any] = {"amount": 1000, "currency": "KES", "payer": "254712345678", "reference": "123"}
        payment = await pool.collect("mpesa_gateway", **order)
        loop = asyncio.get_running_loop()

        async def end() -> float:
            assert (await pool.watch(payment)).status is Status.SUCCEEDED
            return loop.time()

        watching = asyncio.create_task(end())
        await asyncio.sleep(60)  # by now a look comes every fifteen seconds or so
        looked = len(sim.received("mpesa_gateway", "POST /verify/"))
        lie = sim.mpesa_gateway.frame(next(iter(sim.ledger))) | {"status": "completed"}
        sim.mpesa_gateway.push(msgspec.json.encode(lie).decode())
        await asyncio.sleep(1.1)
        assert not watching.done()
        assert len(sim.received("mpesa_gateway", "POST /verify/")) > looked
        await asyncio.sleep(0.5)
        settled = loop.time()
        sim.settle(payment.provider_reference or "", Status.SUCCEEDED)
        assert await watching - settled <= 1.1


@timeless
async def test_the_documents_own_callback_path_works(caplog: pytest.LogCaptureFixture) -> None:
    """`/api/payment/mpesa-callback/` is called by Daraja: as the base of our addresses, and as an order's own."""
    sim, messages, base = Simulator(), list[Incoming](), "https://shop.example/api/payment/mpesa-callback/"
    sim.on_webhook(messages.append)
    async with Pool(sim.driver("mpesa"), connection=sim.connection, webhook_base=base, webhook_key=KEY) as pool:
        for reference, url in (("order-1", None), ("order-2", base)):
            placed = await pool.collect(
                "mpesa", amount=250, currency="KES", payer="254712345678", reference=reference, webhook_url=url
            )
            sim.settle(placed.provider_reference or "", Status.SUCCEEDED)
            await asyncio.sleep(1)
            message = messages.pop()
            assert message.path.startswith("/api/payment/mpesa-callback/")
            paid = await pool.confirm(pool.webhook(message, account="mpesa"), expected=placed)
            assert (paid.status, paid.reference) == (Status.SUCCEEDED, reference)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "webhook_base: mpesa advises against 'mpesa' in the path of a callback, and may never call it"
    ]


@timeless
async def test_the_gateways_limits_are_never_met() -> None:
    """100 initiations and 1,000 checks a minute: what is more waits here, and the gateway refuses none."""
    sim = Simulator()
    async with Pool(sim.driver("mpesa_gateway"), connection=sim.connection, deadline=100) as pool:
        loop = asyncio.get_running_loop()
        order: dict[str, Any] = {"amount": 1000, "currency": "KES", "payer": "254712345678"}
        began = loop.time()
        payments = await asyncio.gather(
            *(pool.collect("mpesa_gateway", reference=str(number), **order) for number in range(1, 111))
        )
        assert 60 <= loop.time() - began < 61
        assert len(sim.ledger) == len(sim.received("mpesa_gateway", "POST /payment/mpesa/")) == 110
        began = loop.time()
        await asyncio.gather(*(pool.verify(payment) for payment in payments * 10))
        assert 60 <= loop.time() - began < 61
        assert len(sim.received("mpesa_gateway", "POST /verify/")) == 1100


@timeless
async def test_cinetpays_own_example_of_a_notification_is_refused() -> None:
    """The guide prints a notification with its two values swapped; a message like that is nobody's."""
    sim = Simulator()
    driver = sim.driver("cinetpay", secret_key="")
    async with Pool(driver, connection=sim.connection, webhook_base=BASE, webhook_key=KEY) as pool:
        swapped: Mapping[str, str] = {"cpm_trans_id": "123456", "cpm_site_id": "order-1"}
        path = pool.webhook_url("cinetpay").removeprefix("https://shop.example")
        with pytest.raises(BadWebhook):
            pool.webhook(Incoming(path=path, body=msgspec.json.encode(swapped)))


if __name__ == "__main__":
    sys.stdout.write(table())
