"""Whether the model and data hub can be reached, found out once and quickly."""

import functools
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
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on") or not _answers():
        _go_offline()
        return False
    return True


def _answers() -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError:
        return True  # it refuses this request, but it is there
    except (OSError, ValueError):
        return False
    return True


def _go_offline() -> None:
    import datasets
    import huggingface_hub

    os.environ["HF_HUB_OFFLINE"] = "1"
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    datasets.config.HF_HUB_OFFLINE = True
