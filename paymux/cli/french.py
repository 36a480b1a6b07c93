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
    "Nothing was sent. It may be repeated as it is.": (
        "Rien n'a été envoyé. La commande peut être répétée telle quelle."
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
    "Others may read {file}, which has a secret: chmod 600 {file}": (
        "D'autres peuvent lire {file}, qui contient un secret : chmod 600 {file}"
    ),
    "stopped": "arrêté",
    "lists them": "les énumère",
    "writes a file to fill in": "écrit un fichier à remplir",
    "needs no account": "se passe de compte",
    "Call {name} of {account}, LIVE? [y/N] ": "Appeler {name} de {account}, en RÉEL ? [o/N] ",
    "Waiting for {account}: its provider has not answered yet.": (
        "En attente de {account} : son fournisseur n'a pas encore répondu."
    ),
    "Run it again later.": "Relancez la commande plus tard.",
    "Payments that can be read: {read}; open: {open}.": (
        "Paiements lisibles : {read} ; en cours : {open}."
    ),
    "starts one": "en démarre un",
    "takes a free port": "prend un port libre",
    "Simulated providers: {page}": "Fournisseurs simulés : {page}",
    "Open {page} to pay as a payer; Ctrl-C ends it.": (
        "Ouvrez {page} pour payer comme un client ; Ctrl-C l'arrête."
    ),
    "It listens beyond this machine: a program that has the address can speak with it.": (
        "Il écoute au-delà de cette machine : toute personne ayant l'adresse peut lui parler."
    ),
    "There is no file; the variables of the environment are used.": (
        "Il n'y a pas de fichier ; les variables d'environnement sont utilisées."
    ),
    "Fill in the empty fields; paymux doctor says what is still wrong.": (
        "Remplissez les champs vides ; paymux doctor dit ce qui manque encore."
    ),
    "writes one": "en écrit un",
    "{rows} rows read, going on": "{rows} lignes lues, on continue",
    "{rows} rows so far ({stage})": "{rows} lignes jusqu'ici ({stage})",
    "{rows} orders: about {hours} h {minutes} at {rate} a minute": (
        "{rows} commandes : environ {hours} h {minutes} à {rate} par minute"
    ),
    "goes on from here": "continue d'ici",
    "read: ours {ours}; theirs {theirs}": "lu : chez nous {ours} ; chez eux {theirs}",
    "  {outcome}{why}: ours {ours}; theirs {theirs}": (
        "  {outcome}{why} : chez nous {ours} ; chez eux {theirs}"
    ),
    " (no money moved, and the other side has no such row)": (
        " (aucun argent n'a bougé, et l'autre côté n'a pas cette ligne)"
    ),
    " (left out: of another kind)": " (laissé de côté : d'un autre genre)",
    " (left out: not in the period)": " (laissé de côté : hors de la période)",
    " (they agree since the provider was asked)": " (d'accord depuis la question au fournisseur)",
    "  unreadable: {rows} lines": "  unreadable : {rows} lignes illisibles",
    "{count} differences": "{count} différences",
    "Nothing differs.": "Aucune différence.",
    "The report is in {file}": "Le rapport est dans {file}",
    "Is this right? [y/N] ": "Est-ce juste ? [o/N] ",
    "a file, or a postgresql:// URL": "un fichier, ou une adresse postgresql://",
    "sent at {time}, not sent again": "envoyé à {time}, pas renvoyé",
    "Refunds without an answer that were sent again: {count}": (
        "Remboursements sans réponse, envoyés à nouveau : {count}"
    ),
    "The page to pay on: {url}": "La page de paiement : {url}",
    "The payer is asked: {prompt}": "Le payeur est sollicité : {prompt}",
    "Ask {party} for {amount}, from {account}{live}? [y/N] ": (
        "Demander {amount} à {party}, par {account}{live} ? [o/N] "
    ),
    "Make a page to pay {amount}, from {account}{live}? [y/N] ": (
        "Créer une page pour payer {amount}, par {account}{live} ? [o/N] "
    ),
    "Pay out {amount} to {party} from {account}{live}.": (
        "Verser {amount} à {party} depuis {account}{live}."
    ),
    "Give back {amount} to {party} from {account}{live}.": (
        "Rendre {amount} à {party} depuis {account}{live}."
    ),
    "Type {digits} to go on: ": "Tapez {digits} pour continuer : ",
    "Go on? [y/N] ": "Continuer ? [o/N] ",
    "No account tells its balance.": "Aucun compte n'indique son solde.",
    "Say that {reference} ({amount}) {status}? [y/N] ": (
        "Déclarer {reference} ({amount}) : {status} ? [o/N] "
    ),
    "{done} of {whole} verified, {rate} a second, about {left} s left": (
        "{done} sur {whole} vérifiés, {rate} par seconde, encore environ {left} s"
    ),
    "{done} verified, {rate} a second": "{done} vérifiés, {rate} par seconde",
    "{done} verified": "{done} vérifiés",
    "Waiting up to a minute for a message of our own on port {port}.": (
        "On attend jusqu'à une minute notre propre message sur le port {port}."
    ),
    "{facts} facts, about {requests} requests to {url}; {money} move test money.": (
        "{facts} faits, environ {requests} requêtes vers {url} ; {money} déplacent de l'argent "
        "de test."
    ),
}
