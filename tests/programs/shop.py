"""Runs a shop's file, as `python -m` does, in one worker process for each port.

`python -m tests.programs.shop <example> <library> <port> …` writes the processes and, when they
have ended, their exit codes. The library is loaded once, the program in each worker.
"""

import importlib
import os
import runpy
import sys
import warnings

from .children import exit_code


def main(example: str, library: str, *ports: str) -> None:
    """Run the workers until they are asked to end."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # one write per line
    for module in (library, "paymux.simulator", "phonenumbers.carrier"):
        importlib.import_module(module)
    workers = []
    for port in ports:
        worker = os.fork()
        if not worker:
            os.environ["PORT"] = port
            if example == "django_wsgi_shop":
                _leave_listening_socket(port)
            runpy.run_module(f"paymux.examples.{example}", run_name="__main__", alter_sys=True)
            return
        workers.append(worker)
    _say("workers", workers)
    _say("ended", [exit_code(worker) for worker in workers])


def _leave_listening_socket(port: str) -> None:
    """Let Django's own server leave its listening socket to the end of the process.

    The last reference to it may be that of any thread, so the text of this warning has no fixed
    form: with a traceback or not, and mixed with the other worker's.
    """
    listening = rf"unclosed <socket\.socket .*laddr=\('127\.0\.0\.1', {port}\)>$"
    warnings.filterwarnings("ignore", listening, ResourceWarning)


def _say(what: str, numbers: list[int]) -> None:
    os.write(1, f"{what} {' '.join(map(str, numbers))}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
