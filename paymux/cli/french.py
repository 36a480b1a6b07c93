"""The French of every sentence that a command says: by its English, with the same fields.

`tests/cli/test_language.py` compares this table with the sentences in the code.
"""

from collections.abc import Mapping

FRENCH: Mapping[str, str] = {
    "Nothing was sent.": "Rien n'a été envoyé.",
    "The money may have moved. Do not send it again.": (
        "L'argent est peut-être parti. Ne le renvoyez pas."
    ),
    "The payer may have been asked. Do not send it again.": (
        "Le payeur a peut-être été sollicité. Ne renvoyez pas la demande."
    ),
    "asks until it is settled": "interroge jusqu'à la fin",
    "It may be repeated as it is.": "La commande peut être répétée telle quelle.",
    "It is still pending. Do not send it again.": "En attente. Ne renvoyez pas la demande.",
    "Tell a person: the payment found is not the expected one.": (
        "Prévenez une personne : le paiement trouvé n'est pas celui attendu."
    ),
    "This is a fault of paymux. Its traceback is in {file}.": (
        "C'est un défaut de paymux. Sa trace est dans {file}."
    ),
    "stopped": "arrêté",
}
