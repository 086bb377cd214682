"""Whether the model and data hub can be reached, found out once and quickly."""

import functools
import http.client
import os
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 5


def endpoint() -> str:
    """The hub's address; `HF_ENDPOINT` names a mirror."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


@functools.cache
def reachable() -> bool:
    """Whether the hub answers; if not, the hub libraries are told to use their local caches alone.

    Left to themselves they retry an unreachable hub for most of a minute.
    """
    if _forbidden() or not _answers():
        _go_offline()
        return False
    return True


def why_not() -> str:
    """Why the hub is out of reach, for messages."""
    setting = _forbidden()
    return f"{setting} forbids the hub ({endpoint()})" if setting else f"the hub ({endpoint()}) cannot be reached"


@functools.cache
def _forbidden() -> str | None:
    """The setting that keeps this process offline, as it was at first sight: `_go_offline` sets one itself."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    given = {name: os.environ.get(name, "") for name in names}
    return next(
        (f"{name}={value}" for name, value in given.items() if value.lower() in ("1", "true", "yes", "on")), None
    )


def _answers() -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError:
        return True  # it refuses this request, but it is there
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True


def _go_offline() -> None:
    import datasets
    import huggingface_hub

    os.environ["HF_HUB_OFFLINE"] = "1"
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    datasets.config.HF_HUB_OFFLINE = True
