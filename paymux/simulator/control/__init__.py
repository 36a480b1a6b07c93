"""The simulator over HTTP: its control API, its events, its page, and who may use them.

Nothing here decides anything about a payment: each route calls the `World` in Python. The modules
load at the first request to `/_paymux`, so that a test with a simulator in process does not pay.
"""
