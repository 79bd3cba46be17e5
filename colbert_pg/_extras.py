"""How to install what is missing, in the way in which this package was installed."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What psycopg says where neither libpq nor a driver that brings one is there.
_NO_LIBPQ = "no pq wrapper available"


def pip_install(extras: str) -> str:
    """The command that installs parts of this package, such as ``encode,default-model``."""
    return f"pip install {shlex.quote(_requirement(extras))}"


def explained(error: ImportError) -> ImportError:
    """An error of importing psycopg that says what to install; another one as it is."""
    if _NO_LIBPQ not in str(error):
        return error
    return ImportError(
        "psycopg finds no libpq, PostgreSQL's client library: pip install 'psycopg[binary]' "
        "brings one, or install your system's (Debian: libpq5)"
    )


def _requirement(extras: str) -> str:
    try:
        origin = json.loads(distribution("colbert_pg").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        path = Path(unquote(urlsplit(url).path))
        if path.exists():
            return f"{path}[{extras}]"
    elif "vcs_info" in origin:
        version = origin["vcs_info"].get("commit_id")
        return f"colbert_pg[{extras}] @ {origin['vcs_info']['vcs']}+{url}@{version}"
    return f"colbert_pg[{extras}]"
