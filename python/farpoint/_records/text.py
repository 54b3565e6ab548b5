"""The text of a record that is embedded: a field, or several in a template."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

# Of messages in a conversation: as OpenAI's format calls their text, and as ShareGPT's does.
_CONTENTS = ("content", "value")


class TextTemplate:
    r"""What to make a text of.

    Parameters
    ----------
    pattern : str
        The name of a field, or a text with names of fields in braces, in which ``\n`` and ``\t`` stand for a
        line feed and a tab, and doubled braces for braces.

    Attributes
    ----------
    fields : list of str
        The fields that it takes from a record, each once.

    Raises
    ------
    ValueError
        The pattern has braces that name no field.

    Examples
    --------
    >>> TextTemplate(r"{question}\n{answer}").of({"question": "Why?", "answer": "Because."})
    'Why?\nBecause.'
    """

    def __init__(self, pattern: str) -> None:
        self._pieces: list[tuple[str, str | None]] = []
        if "{" not in pattern and "}" not in pattern:
            self._pieces.append(("", pattern))
        else:
            self._parse(pattern)
        self.fields = list(dict.fromkeys(field for _, field in self._pieces if field is not None))
        if not self.fields or "" in self.fields:
            raise ValueError(
                f"text {pattern!r} names no field; give the name of one, or a text such as "
                r"'{question}\n{answer}'"
            )

    def _parse(self, pattern: str) -> None:
        text = pattern.replace(r"\n", "\n").replace(r"\t", "\t")
        try:
            for literal, field, form, conversion in string.Formatter().parse(text):
                if form or conversion:
                    raise ValueError("':' and '!' have no meaning in braces")
                self._pieces.append((literal, field))
        except ValueError as error:
            raise ValueError(f"text {pattern!r} is no template: {error}") from None

    def of(self, record: Mapping[str, Any]) -> str:
        """Return the text of a record.

        Raises
        ------
        ValueError
            A field is not there, or holds no text.
        """
        return "".join(
            literal + ("" if field is None else _text(record, field)) for literal, field in self._pieces
        )


def _text(record: Mapping[str, Any], field: str) -> str:
    if field not in record:
        raise ValueError(f"has no field {field!r}; there are {', '.join(map(str, record)) or 'none':.200}")
    value = record[field]
    text = value if isinstance(value, str) else _conversation(value)
    if text is None:
        raise ValueError(
            f"has {'null' if value is None else repr(value)[:60]} for a text in field {field!r}; it must be "
            "a string, or a list of messages"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"has half of a surrogate pair in field {field!r}, which is no text") from None
    return text


def _conversation(value: Any) -> str | None:
    """Return what is said in a list of messages, a message a line; None if it is no such list."""
    if not isinstance(value, list) or not value:
        return None
    said = []
    for message in value:
        if not isinstance(message, dict):
            return None
        contents = [message[name] for name in _CONTENTS if isinstance(message.get(name), str)]
        if not contents:
            return None
        said.append(contents[0])
    return "\n".join(said)
