"""Runs a bot's unchanged file against a chat service of this machine, once for each line that it
reads.

`python -m tests.programs.bot <library> <base URL of the chat service>` writes the process of each
run, then its exit code. The library is loaded once: that costs more than everything else here.
"""

import functools
import os
import runpy
import sys
from importlib import import_module as load  # of each program its own library alone
from typing import Any

import yarl

from paymux.drivers import campay
from paymux.drivers.campay.answers import REASON
from paymux.models import Reason
from paymux.watch import schedule

from .children import exit_code


def main(library: str, service: str) -> None:
    """Point the library at the service, and run the program in a process of its own as often as
    asked.
    """
    # Payers here decide within a blink, and CamPay, who tells few reasons, tells every one of ours.
    campay.CamPay.first_look = 1.0
    campay.CamPay.watch_timeout = 6.0
    schedule.PROMPT = (1, 2, 3, 4, 5, 6)
    REASON.reasons.update({reason.value.upper(): reason for reason in Reason})
    {"aiogram": _aiogram, "telegram": _telegram, "discord": _discord}[library](service)
    load("phonenumbers.carrier")
    while os.read(0, 1):
        process = os.fork()
        if not process:
            runpy.run_module(f"paymux.examples.{library}_bot", run_name="__main__")
            return
        os.write(1, f"{process}\n".encode())
        os.write(1, f"{exit_code(process)}\n".encode())


def _aiogram(service: str) -> None:
    bot: Any = load("aiogram.client.bot")
    api = load("aiogram.client.telegram").TelegramAPIServer.from_base(service)
    bot.AiohttpSession = functools.partial(bot.AiohttpSession, api=api)


def _telegram(service: str) -> None:
    ext: Any = load("telegram.ext")
    ext.Application.builder = staticmethod(
        lambda: ext.ApplicationBuilder().base_url(f"{service}/bot")
    )


def _discord(service: str) -> None:
    load("discord.http").Route.BASE = f"{service}/api/v10"
    load("discord.gateway").DiscordWebSocket.DEFAULT_GATEWAY = (
        yarl.URL(service).with_scheme("ws") / "gateway"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
