"""Keeps tokens, passwords and keys out of whatever is written or shown: they are known by the names they go under."""

import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

HIDDEN = "<hidden>"
# Whole words of a name, so that `api_key` and `HF_TOKEN` are secret, `TOKENIZERS_PARALLELISM` and `max_tokens` are not.
WORDS = re.compile(r"token|secret|passw(or)?d|passphrase|credentials?|api_?key|access_?key|private_?key")
SHORTEST = 6  # characters; a shorter value is a switch, and taking it out of all text would leave little
OVERRIDE = re.compile(r"[+~]{0,2}([\w.@/-]+)=.+")
_known: set[str] = set()


@cache
def is_secret(name: str) -> bool:
    """Whether what goes under this name, of an option or of an environment variable, is to be kept."""
    last = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()
    return re.search(rf"(?<![a-z])({WORDS.pattern})(?![a-z])", last) is not None


def learn(options: Mapping[str, Any], prefix: str = "") -> None:
    """Remember the values of secret options, however deep, so that `redact` knows them."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            learn(value, f"{prefix}{name}.")
        elif is_secret(str(name)) and len(str(value)) >= SHORTEST:
            _known.add(str(value))


def learn_arguments(arguments: Sequence[str]) -> None:
    """The same for a command line's overrides, such as `+logger.api_key=…`."""
    pairs = (argument.partition("=") for argument in arguments)
    learn({key.lstrip("+~"): value.strip("'\"") for key, _, value in pairs if value})


def redact(text: str) -> str:
    """The text without any secret that the environment holds or that an option gave."""
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def redacted(content: Any) -> Any:
    """The same for what becomes JSON or YAML: every text in it, and whatever stands under a secret's name."""
    if isinstance(content, Mapping):
        return {
            key: HIDDEN if is_secret(str(key)) and value is not None else redacted(value)
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return [redacted(each) for each in content]
    if not isinstance(content, str):
        return content
    override = OVERRIDE.fullmatch(content)
    if override and is_secret(override[1]):
        return f"{content.partition('=')[0]}={HIDDEN}"
    return redact(content)


def _values() -> set[str]:
    found = {value for name, value in os.environ.items() if is_secret(name) and len(value) >= SHORTEST}
    return found | _known


class Redact(logging.Filter):
    """Takes secrets out of every record, its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True


learn_arguments(sys.argv[1:])
