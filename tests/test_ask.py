"""Making a question whose answer comes as a message, and driving a driver that asks one."""

import json
from typing import Any

import pytest

import paymux
from paymux import NoAnswer, Unavailable, UsageError, WebhookRequest
from paymux.http import Question, Response, ask
from paymux.models import Payment
from paymux.testing.contract import Script, drive
from paymux.values.parsing import Unreadable

from .asking import Ack, Asking
from .toys import Said, Toy

NAMES = {"name": "1", "AnswerURL": ""}


def told(**fields: Any) -> Response:
    """Give a JSON body as a reply, or as the message after it."""
    return Response(status=200, body=json.dumps(fields).encode())


def question(**changed: Any) -> Question[Said]:
    """Make a question with some arguments changed."""
    given: dict[str, Any] = {"answer": Said, "id_of": Ack.named, **changed}
    return ask(given.pop("path", "/status"), given.pop("type", Ack), given.pop("body", {}), **given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "status"),
        ("type", object()),
        ("body", [("name", "1")]),
        ("body", None),
        ("answer", object()),
        ("id_of", "conversation"),
        ("urls", ("ResultURL",)),
        ("urls", ("ResultURL", "ResultURL")),
        ("urls", ("ResultURL", "")),
        ("urls", "ResultURL"),
        ("accept", ("200",)),
        ("matches", 1),
        ("credential", 1),
    ],
)
def test_a_wrong_argument_of_a_question_is_named(name: str, value: object) -> None:
    """A mistake in `ask` is UsageError with the argument's name, before anything is sent."""
    with pytest.raises(UsageError) as caught:
        question(**{name: value})
    assert caught.value.name == name


def test_a_question_moves_no_money_and_fills_two_fields() -> None:
    """The URLs take their places in the body, which otherwise stays as it was written."""
    made = question(body=NAMES, urls=("AnswerURL", "LateURL"), credential="password")
    request = made.to("https://a.example/1", "https://a.example/2")
    assert not request.money
    assert request.credential == "password"
    assert list(request.body.items()) == [
        ("name", "1"),
        ("AnswerURL", "https://a.example/1"),
        ("LateURL", "https://a.example/2"),
    ]
    assert NAMES == {"name": "1", "AnswerURL": ""}
    assert repr(made) == "<ask /status>"


def test_the_names_are_exported() -> None:
    """A driver of another package finds them where it finds `post`."""
    assert paymux.ask is ask
    assert issubclass(paymux.NoAnswer, Unavailable)


ASKED = Payment(account="asking", provider_reference="p1")


def test_a_script_gives_an_acknowledgement_and_its_answer() -> None:
    """A driver that asks is driven like any other: the message follows the acknowledgement."""
    script = Script(
        Asking(), told(conversation="c1"), told(conversation="c1", id="p1", status="OK")
    )
    found = drive(Asking().verify(script, ASKED))
    assert (found.provider_reference, found.status) == ("p1", "succeeded")
    (request,) = script.requests
    assert {"ResultURL", "QueueTimeOutURL"} < set(request.body)


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([told(conversation="c1")], NoAnswer),
        ([told(conversation="c1"), told(conversation="c2", status="OK")], NoAnswer),
        ([told()], Unreadable),
        ([told(conversation="c1"), told(status="OK")], Unreadable),
    ],
)
def test_a_script_without_the_right_answer_has_none(
    replies: list[Response], error: type[Exception]
) -> None:
    """No message, one of another question, or an acknowledgement without an id: no answer."""
    with pytest.raises(error):
        drive(Asking().verify(Script(Asking(), *replies), ASKED))


def test_a_driver_that_asks_nothing_has_no_answers() -> None:
    """`answer_id` of a driver without questions is Unsupported."""
    with pytest.raises(paymux.Unsupported, match="toy"):
        Toy().answer_id(WebhookRequest(body=b"{}"))
