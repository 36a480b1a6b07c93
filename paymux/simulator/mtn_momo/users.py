"""API users and their keys, which a sandbox lets everyone make, and the logins with them."""

import base64
import re
from typing import TYPE_CHECKING

from ...http import Response, WebhookRequest
from ..replies import Refused, fields, json_reply
from .checks import bad_request, no_target, reference_id
from .messages import error, firewall

if TYPE_CHECKING:
    from . import MtnMomo

_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


class Users:
    """The API users: their callback hosts and keys; "simulator" has the key "simulator"."""

    def __init__(self) -> None:
        self.hosts: dict[str, str] = {}
        self.keys: dict[str, str] = {"simulator": "simulator"}

    def make(self, incoming: WebhookRequest) -> Response:
        """Make a user under the id that the caller chose."""
        user = reference_id(incoming, "")
        host = (fields(incoming) or {}).get("providerCallbackHost")
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            return bad_request()
        if user in self.hosts:
            return error("RESOURCE_ALREADY_EXIST")
        self.hosts[user] = host
        return Response(status=201)

    def make_key(self, user: str, key: str) -> Response:
        """Give a user a new key, which replaces the one of before."""
        if user not in self.hosts:
            return error("RESOURCE_NOT_FOUND")
        self.keys[user] = key
        return json_reply({"apiKey": key}, 201)

    def show(self, user: str) -> Response:
        """Tell of a user."""
        if user not in self.hosts:
            return error("RESOURCE_NOT_FOUND")
        return json_reply(
            {"providerCallbackHost": self.hosts[user], "targetEnvironment": "sandbox"}
        )

    def check(self, incoming: WebhookRequest, platform: str) -> str:
        """Check a login's headers and body, and return its user."""
        if platform == "africa" and not incoming.headers.get("x-target-environment"):
            raise Refused(no_target())
        if "form" in incoming.headers.get("content-type", "") and incoming.body:
            raise Refused(firewall())
        scheme, _, pair = incoming.headers.get("authorization", "").partition(" ")
        try:
            user, _, key = base64.b64decode(pair, validate=True).decode().partition(":")
        except ValueError:
            user, key = "", ""
        if scheme == "Basic" and key and self.keys.get(user) == key:
            return user
        if platform == "africa":
            raise Refused(json_reply({"error": "invalid_client"}, 401))
        raise Refused(json_reply({"error": "login_failed"}, 500))


def user_agent(momo: "MtnMomo", incoming: WebhookRequest, platform: str) -> None:
    """Refuse the user agents that the gateway of 2026 refuses, with a page."""
    agent = incoming.headers.get("user-agent", "")
    if platform == "africa" and any(word in agent for word in momo.refused_agents):
        raise Refused(
            Response(
                status=403,
                headers={"content-type": "text/html"},
                body=b"<html><head><title>403 Forbidden</title></head></html>",
            )
        )
