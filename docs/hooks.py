"""What mkdocs does besides rendering docs/: pages from elsewhere, and links that lead out of docs/.

The pages are read on a code host, too. So they have links of the repository, and here these become
links of the site. A link to a file that the site does not have leads to the repository, if
mkdocs.yml names its repo_url. If not, the page shows the path.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parent.parent

# By path in the repository, the address on the site of what is not in docs/.
BROUGHT_IN = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/results/methods.svg": "methods.svg",
}

_FENCED = re.compile(r"^(```.*?^```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z]+:")

log = logging.getLogger("mkdocs.hooks.colbert_pg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, uri in BROUGHT_IN.items():
        files.append(File.generated(config, uri, abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    pages = {Path(file.abs_src_path): file.src_uri for file in files if file.abs_src_path}
    assert page.file.abs_src_path is not None
    return with_links_of_the_site(markdown, Path(page.file.abs_src_path), pages, config.repo_url)


def with_links_of_the_site(
    markdown: str, source: Path, pages: dict[Path, str], repo_url: str | None
) -> str:
    """A page with other links, outside of its code blocks; ``pages`` are the files of the site."""
    parts = _FENCED.split(markdown)
    parts[::2] = [
        _LINK.sub(lambda found: _link(found, source, pages, repo_url), part) for part in parts[::2]
    ]
    return "".join(parts)


def _link(found: re.Match[str], source: Path, pages: dict[Path, str], repo_url: str | None) -> str:
    image, text, target = found.groups()
    path, hash_sign, anchor = target.partition("#")
    if not path or _ELSEWHERE.match(target):
        return found[0]
    file = Path(os.path.normpath(source.parent / path))
    if file in pages:
        return f"{image}[{text}]({pages[file]}{hash_sign}{anchor})"
    if not file.exists() or not file.is_relative_to(REPOSITORY):
        log.warning("%s has a link to %s, which is not there", source.name, target)
        return found[0]
    place = file.relative_to(REPOSITORY).as_posix()
    if repo_url:
        return f"[{text}]({repo_url.rstrip('/')}/blob/HEAD/{place})"
    shown = text.strip("`").rstrip("/")
    return f"`{place}`" if shown == place else f"{text} (`{place}`)"
