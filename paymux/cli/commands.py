"""The table of commands: each is loaded when it is called, so that `--help` is fast."""

from collections.abc import Mapping

# Name: (module, its name there, summary). A test compares each summary with the command's own help.
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "config": ("config", "config", "Show and write the settings."),
    "balance": (
        "balance",
        "balance",
        "Print the money that can be paid out, of all accounts.",
    ),
    "collect": ("collect", "collect", "Ask a payer for money, once."),
    "doctor": ("doctor", "doctor", "Say what is wrong with a configuration, and what mends it."),
    "history": ("history", "history", "Print a provider's own list of a period, page by page."),
    "payout": ("payout", "payout", "Send money to a payee, once."),
    "recover": (
        "recover",
        "recover",
        "Find out how each order ended that a crash or an unknown outcome left open.",
    ),
    "refund": ("refund", "refund", "Give back money of a payment, once."),
    "resolve": ("resolve", "resolve", "End an order that no API ends, by a person's word."),
    "verify": ("verify", "verify", "Ask a provider once for each payment."),
    "watch": ("watch", "watch", "Print a line for each change, until all are settled."),
    "check": ("doctor", "check", "Say what is wrong with a configuration, and what mends it."),
    "demo": ("demo", "demo", "Collect from simulated payers, with network faults."),
    "examples": ("examples", "examples", "List the programs to start from, or print or copy one."),
    "journal": ("journal", "journal", "Read and keep a journal."),
    "probe": ("probe", "probe", "Ask a provider's sandbox what no page says."),
    "providers": ("providers", "providers", "Print which provider has which operation."),
    "reconcile": (
        "reconcile",
        "reconcile",
        "Compare the journal, or a file of yours, with what a provider says.",
    ),
    "run": ("run", "run", "Call what a driver offers beyond the common verbs."),
    "security-credential": (
        "security_credential",
        "security_credential",
        "Encrypt M-Pesa's initiator password.",
    ),
    "simulator": ("simulator", "simulator", "Serve simulated providers on a loopback port."),
    "webhook-url": ("config", "webhook_url", "Print the address to register at a provider."),
}
