"""Chat services on loopback, as far as a bot sees them.

Telegram's Bot API, and Discord's API and gateway.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

from aiohttp import web

TOKEN = "123456:simulator"
_BOT = {"id": 42, "is_bot": True, "first_name": "Till", "username": "till_bot"}


class Shown(NamedTuple):
    """A message of the bot, and every text that it has had."""

    chat: int
    texts: list[str]


class Chats:
    """A chat service with one bot; each person has a chat of the same number with it."""

    signal: ClassVar[str]  # what its library takes for "end"
    unchanged: ClassVar[bool]  # whether the service refuses an edit that changes nothing

    def __init__(self) -> None:
        self.shown: dict[int, Shown] = {}
        self.refused: list[str] = []  # edits that the service did not take
        self.floods: dict[int, int] = {}  # by chat: how many of the next edits are too many
        self._numbers = itertools.count(1001)
        self._runner: web.AppRunner | None = None
        self.present = False  # whether the bot listens
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        self.routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def routes(self, router: web.UrlDispatcher) -> None:
        """Serve what the library calls."""
        raise NotImplementedError

    def say(self, person: int, command: str, *words: str, language: str = "en") -> int:
        """Say a command to the bot; give the number of the message."""
        raise NotImplementedError

    def reference(self, person: int, number: int) -> str:
        """Give the reference that the bot's program makes of a command."""
        raise NotImplementedError

    def texts(self, person: int) -> list[list[str]]:
        """List what each of the bot's messages to a person has said, one after another."""
        return [message.texts for message in self.shown.values() if message.chat == person]

    async def until(self, seen: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until something is seen; a time-out shows what was said instead."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, self.shown
            await asyncio.sleep(0.01)

    def write(self, chat: int, text: str) -> int:
        """Note a message of the bot."""
        number = next(self._numbers)
        self.shown[number] = Shown(chat, [text])
        return number

    def rewrite(self, number: int, text: str) -> str:
        """Note an edit, or say why not: "flood", "unchanged" or "gone"."""
        message = self.shown.get(number)
        if message is None:
            refusal = "gone"
        elif self.floods.get(message.chat, 0) > 0:
            self.floods[message.chat] -= 1
            refusal = "flood"
        elif self.unchanged and message.texts[-1] == text:
            refusal = "unchanged"
        else:
            message.texts.append(text)
            return ""
        self.refused.append(refusal)
        return refusal


class Telegram(Chats):
    """https://core.telegram.org/bots/api, the few methods that a polling bot calls."""

    signal = "SIGTERM"
    unchanged = True

    def __init__(self) -> None:
        super().__init__()
        self._updates: list[dict[str, Any]] = []

    def routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", f"/bot{TOKEN}/{{method}}", self._answer)

    def reference(self, person: int, number: int) -> str:
        return f"tg.{person}.{number}"

    def say(self, person: int, command: str, *words: str, language: str = "en") -> int:
        number = next(self._numbers)
        text = " ".join([f"/{command}", *words])
        message = {
            **self._message(number, person, text),
            "from": {"id": person, "is_bot": False, "first_name": "P", "language_code": language},
            "entities": [{"type": "bot_command", "offset": 0, "length": len(command) + 1}],
        }
        self.deliver(message)
        return number

    def deliver(self, message: Mapping[str, Any]) -> None:
        """Send an update with this message, be it for the second time."""
        self.last = message
        self._updates.append({"update_id": len(self._updates) + 1, "message": message})

    async def _answer(self, request: web.Request) -> web.Response:
        given = {**request.query, **await request.post()}
        match request.match_info["method"]:
            case "getMe":
                return self._ok(_BOT)
            case "getUpdates":
                return await self._poll(int(str(given.get("offset") or 0)))
            case "sendMessage":
                chat, text = int(str(given["chat_id"])), str(given["text"])
                return self._ok(self._message(self.write(chat, text), chat, text))
            case "editMessageText":
                return self._edit(
                    int(str(given["chat_id"])), int(str(given["message_id"])), str(given["text"])
                )
            case _:
                return self._ok(True)

    async def _poll(self, offset: int) -> web.Response:
        self.present = True
        for _ in range(100):
            waiting = [update for update in self._updates if update["update_id"] >= offset]
            if waiting:
                return self._ok(waiting)
            await asyncio.sleep(0.01)
        return self._ok([])

    def _edit(self, chat: int, number: int, text: str) -> web.Response:
        # The descriptions are the API's own: github.com/tdlib/telegram-bot-api, Client.cpp.
        match self.rewrite(number, text):
            case "flood":
                error = {"error_code": 429, "description": "Too Many Requests: retry after 1"}
                body = {"ok": False, **error, "parameters": {"retry_after": 1}}
                return web.json_response(body, status=429)
            case "unchanged":
                why = (
                    "specified new message content and reply markup are exactly the same as a "
                    "current content"
                )
                error = {
                    "error_code": 400,
                    "description": f"Bad Request: message is not modified: {why}",
                }
                return web.json_response({"ok": False, **error}, status=400)
            case "gone":
                error = {"error_code": 400, "description": "Bad Request: message to edit not found"}
                return web.json_response({"ok": False, **error}, status=400)
        return self._ok(self._message(number, chat, text))

    def _ok(self, result: object) -> web.Response:
        return web.json_response({"ok": True, "result": result})

    def _message(self, number: int, chat: int, text: str) -> dict[str, Any]:
        person = {"id": chat, "type": "private", "first_name": "P"}
        return {
            "message_id": number,
            "date": int(time.time()),
            "chat": person,
            "from": _BOT,
            "text": text,
        }


class Discord(Chats):
    """https://discord.com/developers/docs: commands arrive over the gateway, answers go over
    HTTP.
    """

    signal = "SIGINT"
    unchanged = False

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[str] = []
        self._socket: web.WebSocketResponse | None = None
        self._sent = itertools.count(2)
        self._interactions: dict[int, dict[str, Any]] = {}
        self._originals: dict[int, int] = {}

    def routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/gateway/", self._gateway)
        router.add_get("/gateway", self._gateway)
        router.add_get("/api/v10/users/@me", self._me)
        router.add_get("/api/v10/oauth2/applications/@me", self._application)
        router.add_put("/api/v10/applications/{id}/commands", self._sync)
        router.add_post("/api/v10/interactions/{id}/{token}/callback", self._callback)
        router.add_get("/api/v10/webhooks/{id}/{token}/messages/@original", self._original)
        router.add_patch("/api/v10/channels/{chat}/messages/{id}", self._edit)

    def reference(self, person: int, number: int) -> str:
        return f"discord.{number}"

    def say(self, person: int, command: str, *words: str, language: str = "en-US") -> int:
        assert self._socket is not None
        assert command in self.commands
        number = next(self._numbers)
        names = (("amount", 4, int), ("phone", 3, str))
        options = [
            {"name": name, "type": kind, "value": read(word)}
            for (name, kind, read), word in zip(names, words, strict=bool(words))
        ]
        interaction = {
            "id": str(number),
            "application_id": "42",
            "type": 2,
            "token": str(number),
            "version": 1,
            "locale": "en-US" if language == "en" else language,
            "attachment_size_limit": 1,
            "channel": {"id": str(person), "type": 1},
            "channel_id": str(person),
            "user": self._user(person),
            "data": {"id": "7", "name": command, "type": 1, "options": options if words else []},
        }
        self._interactions[number] = interaction
        event = {"op": 0, "t": "INTERACTION_CREATE", "s": next(self._sent), "d": interaction}
        self._later = asyncio.ensure_future(self._socket.send_str(json.dumps(event)))
        return number

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 40_000}})
        async for message in socket:
            if (said := json.loads(message.data))["op"] == 1:
                await socket.send_json({"op": 11})
            elif said["op"] == 2:
                ready = {
                    "v": 10,
                    "user": self._user(42),
                    "guilds": [],
                    "session_id": "s",
                    "resume_gateway_url": f"{self.url}/gateway",
                    "application": {"id": "42", "flags": 0},
                }
                await socket.send_json({"op": 0, "t": "READY", "s": 1, "d": ready})
                self._socket, self.present = socket, True
        return socket

    async def _me(self, _: web.Request) -> web.Response:
        return _json(self._user(42))

    async def _application(self, _: web.Request) -> web.Response:
        application = {
            "id": "42",
            "name": "till",
            "description": "",
            "icon": None,
            "verify_key": "",
            "owner": self._user(1),
        }
        return _json(
            {**application, "bot_public": True, "bot_require_code_grant": False, "flags": 0}
        )

    async def _sync(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.commands = [command["name"] for command in given]
        common = {"application_id": "42", "version": "1", "default_member_permissions": None}
        return _json([{**command, **common, "id": str(7 + n)} for n, command in enumerate(given)])

    async def _callback(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        asked, text = self._interactions[number], (await request.json())["data"]["content"]
        written = self.write(int(asked["channel_id"]), text)
        self._originals[number] = written
        told = {"id": str(number), "type": 2, "response_message_id": str(written)}
        message = self._message(written, int(asked["channel_id"]), text)
        return _json({"interaction": told, "resource": {"type": 4, "message": message}})

    async def _original(self, request: web.Request) -> web.Response:
        written = self._originals[int(request.match_info["token"])]
        message = self.shown[written]
        return _json(self._message(written, message.chat, message.texts[-1]))

    async def _edit(self, request: web.Request) -> web.Response:
        chat, number = int(request.match_info["chat"]), int(request.match_info["id"])
        text = (await request.json())["content"]
        match self.rewrite(number, text):
            case "flood":
                body = {
                    "message": "You are being rate limited.",
                    "retry_after": 0.3,
                    "global": False,
                }
                return _json(body, status=429, headers={"Via": "1.1 loopback"})
            case "gone":
                return _json({"message": "Unknown Message", "code": 10008}, status=404)
        return _json(self._message(number, chat, text))

    def _user(self, person: int) -> dict[str, Any]:
        return {
            "id": str(person),
            "username": "p",
            "discriminator": "0",
            "avatar": None,
            "bot": person == 42,
        }

    def _message(self, number: int, chat: int, text: str) -> dict[str, Any]:
        return {
            "id": str(number),
            "channel_id": str(chat),
            "author": self._user(42),
            "content": text,
            "timestamp": "2026-01-01T00:00:00+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "pinned": False,
            "type": 0,
        }


def _json(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    # Without a charset, or it is text: github.com/Rapptz/discord.py, discord/http.py, json_or_text.
    content = json.dumps(body).encode()
    return web.Response(
        body=content, status=status, headers=headers, content_type="application/json"
    )
