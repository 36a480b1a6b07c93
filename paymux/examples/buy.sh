# A payment with curl alone: `paymux simulator -- sh paymux/examples/buy.sh`.
set -eu
api=$PAYMUX_SIMULATOR/_paymux json='Content-Type: application/json' phone=237677000001
ask() { curl --silent --show-error --fail-with-body --header "$json" "$@" && echo; }

# What the payer will do, then the order in the provider's own protocol, its end, and what was really charged.
ask --request PUT "$api/payers/$phone" --data '{"answer": "approve", "after": 1}'
ask "$PAYMUX_CAMPAY__BASE_URL/collect/" --header 'Authorization: Token simulator' --data '{"amount": "500",
    "currency": "XAF", "from": "'$phone'", "description": "Coffee", "external_reference": "order-7"}'
ask "$api/wait?reference=order-7&status=succeeded"
ask "$api/ledger"
