"""Programs to start from, one file each: `python -m paymux.examples.<name>`.

They import only public names, take their settings from the environment, and nothing in paymux
imports them. Each says in its docstring what to install and what to set, and runs without an
account as `paymux simulator -- python -m paymux.examples.<name>`.

In a shop, `on_payment` is called at least once for each status, so guard what must happen once with
one conditional write: `pay.once`, or your own `UPDATE orders SET paid = 1 WHERE id = ? AND paid =
0` and a check of the number of changed rows. A failed payment releases the order; every other
status keeps it. Any number of workers share the program's journal, also those of `gunicorn
--preload`. A test makes the app around a pool of its own, with the simulator's connection, and
opens it as often as it likes.

A server with threads has no event loop, and a pool refuses a second loop while the first one runs:
so the shops under WSGI start one in each worker process, after the fork. In a bot, the reference
comes from the user's message: an update that arrives twice, or an edited command, is never a second
charge.
"""
