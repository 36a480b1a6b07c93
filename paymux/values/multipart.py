"""Reading a form in parts (multipart/form-data, RFC 7578): fields, without files."""

from .parsing import Unreadable, unique_fields

_PARTS = 100  # fields and files; the largest documented message has a fifth of it
_HEAD = 1024  # bytes of a part's headers; name and type need a tenth of it
_SEMICOLONS = 16  # in a header: the parser's work grows with their square
# RFC 7578, section 4.7: no other encoding is sent
_PLAIN = frozenset({"", "7bit", "8bit", "binary"})


def multipart_fields(body: bytes, content_type: str) -> dict[str, str]:
    """Read the fields of a form in parts, 100 at most; a repeated name is Unreadable."""
    boundary = _parameters("content-type", content_type).get("boundary", "")
    if not 0 < len(boundary) <= 70 or not boundary.isascii():
        raise Unreadable("a form in parts without a boundary of 1 to 70 characters")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), _PARTS + 2)
    if len(parts) > _PARTS + 1:
        raise Unreadable("a form of more parts than a message has")
    fields: list[tuple[str, str]] = []
    for part in parts:
        if part.startswith(b"--"):  # the end; what follows has no meaning
            return unique_fields(fields)
        if (field := _field(part)) is not None:
            fields.append(field)
    raise Unreadable("a form in parts that was cut off")


def _field(part: bytes) -> tuple[str, str] | None:
    from email.parser import HeaderParser  # noqa: PLC0415 - 3 ms that only such a form costs

    padding, line, rest = part.partition(b"\r\n")
    head, gap, value = rest.partition(b"\r\n\r\n")
    if padding.strip(b" \t") or not line or not gap or len(head) > _HEAD:
        raise Unreadable("a part of a form without its headers")
    headers = HeaderParser().parsestr(_text(head))
    said = _parameters("content-disposition", str(headers.get("content-disposition", "")))
    encoding = str(headers.get("content-transfer-encoding", "")).strip().lower()
    if "form-data" not in said or "name" not in said or encoding not in _PLAIN:
        raise Unreadable("a part of a form that is no field")
    return None if "filename" in said else (said["name"], _text(value))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("a part of a form that is not UTF-8") from None


def _parameters(header: str, value: str) -> dict[str, str]:
    """Return a header's first word and its parameters; Unreadable: not one line of text."""
    from email.message import Message  # noqa: PLC0415 - slow to import

    # "*" begins the languages and continuations of RFC 2231; RFC 7578, section 4.2, forbids them in
    # forms, and the parser raises its own errors for them.
    if (
        len(value) > _HEAD
        or value.count(";") > _SEMICOLONS
        or not value.isprintable()
        or "*" in value
    ):
        raise Unreadable(f"{header}: longer than a form needs, or of other characters")
    message = Message()
    message[header] = value
    return unique_fields(message.get_params(header=header) or [])
