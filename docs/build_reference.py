"""Writes docs/reference.md from what colbert_pg's functions say of themselves in a database.

    python docs/build_reference.py                  on an embedded server, gone afterwards
    python docs/build_reference.py --url postgresql://…    on a database that has colbert_pg

Signatures and descriptions come from the catalogs (COMMENT ON), so that they are what a user has.
The order of the page, what each parameter means and the examples come from docs/reference.toml.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE = REPOSITORY / "docs" / "reference.md"
SAID = REPOSITORY / "docs" / "reference.toml"

HEADER = """\
# SQL reference

<!-- Written by docs/build_reference.py. Do not edit: change the COMMENT or docs/reference.toml. -->

All names are in the schema `colbert`. Arguments may be named, `k => 5`. A parameter with a
default may be left out. Names that begin with an underscore are not an interface.

The examples use these tables, with vectors short enough for the page:

```sql
{setup}
```
"""


class Field(NamedTuple):
    """A parameter, or a column of what is returned."""

    name: str
    type: str
    default: str | None = None


class Function(NamedTuple):
    """One form of a public function or procedure, as the catalog has it."""

    name: str
    procedure: bool
    arguments: list[Field]
    results: list[Field]
    returns: str | None
    description: str | None


class View(NamedTuple):
    """A public view, as the catalog has it, with its columns: name, type, comment."""

    name: str
    description: str | None
    columns: list[tuple[str, str, str | None]]


_FUNCTIONS = """
SELECT p.proname,
       p.prokind = 'p',
       ARRAY(SELECT ARRAY[coalesce(a.mode::text, 'i'), a.name, pg_catalog.format_type(a.type, NULL),
                          pg_catalog.pg_get_function_arg_default(p.oid, a.place::int)]
               FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]),
                           p.proargmodes, p.proargnames)
                      WITH ORDINALITY AS a (type, mode, name, place)
              WHERE a.type IS NOT NULL
              ORDER BY a.place),
       pg_catalog.pg_get_function_result(p.oid),
       pg_catalog.obj_description(p.oid, 'pg_proc')
  FROM pg_catalog.pg_proc p
 WHERE p.pronamespace = 'colbert'::pg_catalog.regnamespace
   AND p.proname NOT LIKE '\\_%'
   AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
 ORDER BY p.proname, p.pronargs, p.oid
"""

_VIEWS = """
SELECT c.relname,
       pg_catalog.obj_description(c.oid, 'pg_class'),
       ARRAY(SELECT ARRAY[a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
                          pg_catalog.col_description(c.oid, a.attnum)]
               FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0
              ORDER BY a.attnum)
  FROM pg_catalog.pg_class c
 WHERE c.relnamespace = 'colbert'::pg_catalog.regnamespace
   AND c.relkind = 'v'
   AND c.relname NOT LIKE '\\_%'
 ORDER BY c.relname
"""


def reference(connection: psycopg.Connection[Any], said: dict[str, Any] | None = None) -> str:
    """The page, for the version of colbert_pg that is installed in a database.

    ``said`` is what docs/reference.toml says, for tests.

    Raises:
        ValueError: if a function, a view, a parameter or a column is not described, if a function
            has no example, or if docs/reference.toml describes what is not there.
    """
    said = said or tomllib.loads(SAID.read_text(encoding="utf-8"))
    with connection.transaction():
        connection.execute(
            "SELECT pg_catalog.set_config('search_path', extnamespace::regnamespace::text, true)"
            "  FROM pg_catalog.pg_extension WHERE extname = 'vector'"
        )
        functions = [_function(*row) for row in connection.execute(_FUNCTIONS)]
        views = [View(*row) for row in connection.execute(_VIEWS)]
    page = _Page(said, functions, views)
    text = "".join(
        f"\n## {title}\n" + "".join(page.entry(title, name) for name in names)
        for title, names in said["sections"].items()
    )
    page.refuse_what_is_left()
    return HEADER.format(setup=said["setup"].strip()) + text


def examples(said: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """By function or view: its example, and what psql prints for it, where the page shows that."""
    return {
        name: (entry["example"].strip() + "\n", entry.get("prints"))
        for names in said["sections"].values()
        for name, entry in names.items()
    }


def _function(
    name: str,
    procedure: bool,
    fields: list[list[str]],
    returns: str | None,
    description: str | None,
) -> Function:
    arguments = [
        Field(field, kind, _without_cast(default))
        for mode, field, kind, default in fields
        if mode in "ibv"
    ]
    results = [Field(field, kind) for mode, field, kind, _ in fields if mode in "otb"]
    return Function(name, procedure, arguments, results, returns, description)


def _without_cast(default: str | None) -> str | None:
    return default and re.sub(r"::[a-z_ ]+(\[\])?$", "", default)


class _Page:
    """The entries of the page, and what of docs/reference.toml they have used so far."""

    def __init__(self, said: dict[str, Any], functions: list[Function], views: list[View]) -> None:
        self.said = said
        self.functions: dict[str, list[Function]] = {}
        for function in functions:
            self.functions.setdefault(function.name, []).append(function)
        self.views = {view.name: view for view in views}
        self.used: set[tuple[str, ...]] = set()
        self.entered: set[str] = set()

    def entry(self, title: str, name: str) -> str:
        forms = self.functions.get(name, [])
        view = self.views.get(name)
        if not forms and not view:
            raise ValueError(f"docs/reference.toml has {name}, which colbert_pg has not")
        self.entered.add(name)
        own = ("sections", title, name)
        parts = [f"\n### {name}\n"]
        if forms:
            parts.append(_fenced("text", "\n\n".join(map(_signature, forms))))
            parts.append(_descriptions(forms))
            parts.append(self._fields(own, "arguments", [form.arguments for form in forms]))
            if not view:
                parts.append(self._fields(own, "results", [form.results for form in forms]))
        if view:
            parts.append(_view(view))
        said = self.said["sections"][title][name]
        if "example" not in said:
            raise ValueError(f"docs/reference.toml has no example of {name}")
        example = _fenced("sql", said["example"].strip())
        if "prints" in said:
            example += "\n" + _fenced("text", said["prints"].strip("\n"))
        return "\n".join(part for part in [*parts, example] if part)

    def refuse_what_is_left(self) -> None:
        """Refuse functions that have no entry, and meanings of what is not there."""
        missing = sorted((set(self.functions) | set(self.views)) - self.entered)
        if missing:
            raise ValueError(f"docs/reference.toml does not have {', '.join(missing)}")
        there: set[tuple[str, ...]] = {
            (kind, name) for kind in ("arguments", "results") for name in self.said[kind]
        }
        there |= {
            ("sections", title, function, kind, name)
            for title, functions in self.said["sections"].items()
            for function, entry in functions.items()
            for kind in ("arguments", "results")
            for name in entry.get(kind, {})
        }
        if unused := sorted(".".join(path) for path in there - self.used):
            raise ValueError(
                f"docs/reference.toml describes what is not there: {', '.join(unused)}"
            )

    def _fields(self, own: tuple[str, ...], kind: str, forms: list[list[Field]]) -> str:
        """The table of the parameters, or of the columns that are returned, of all forms."""
        fields = _united(forms)
        if not fields:
            return ""
        rows = ["| parameter | type | default | meaning |\n| --- | --- | --- | --- |\n"]
        if kind == "results":
            rows = ["| returns | type | meaning |\n| --- | --- | --- |\n"]
        for name, alike in fields.items():
            types = " or ".join(dict.fromkeys(f"`{field.type}`" for field in alike))
            default = " or ".join(dict.fromkeys(f"`{f.default}`" for f in alike if f.default))
            meaning = self._meaning(own, kind, name)
            rows.append(
                f"| `{name}` | {types} | {meaning} |\n"
                if kind == "results"
                else f"| `{name}` | {types} | {default or 'none'} | {meaning} |\n"
            )
        return "".join(rows)

    def _meaning(self, own: tuple[str, ...], kind: str, name: str) -> str:
        for path in ((*own, kind, name), (kind, name)):
            place = self.said
            for step in path:
                place = place.get(step, {})
            if place:
                self.used.add(path)
                return str(place).replace("|", "\\|")
        what = "parameter" if kind == "arguments" else "column"
        raise ValueError(f"docs/reference.toml does not describe the {what} {name} of {own[-1]}")


def _united(forms: list[list[Field]]) -> dict[str, list[Field]]:
    """By name, the fields of all forms. A name comes after what it follows in its form."""
    names: list[str] = []
    for form in forms:
        place = 0
        for field in form:
            if field.name in names:
                place = names.index(field.name) + 1
            else:
                names.insert(place, field.name)
                place += 1
    return {name: [f for form in forms for f in form if f.name == name] for name in names}


def _signature(function: Function) -> str:
    arguments = [
        f"{name} {kind}" + (f" DEFAULT {default}" if default else "")
        for name, kind, default in function.arguments
    ]
    lines = _wrapped("CALL " if function.procedure else "", function.name, arguments)
    if function.results and not function.procedure:
        columns = [f"{name} {kind}" for name, kind, _ in function.results]
        lines += _wrapped("  RETURNS ", "TABLE", columns)
    elif function.returns and not function.procedure:
        lines.append(f"  RETURNS {function.returns}")
    return "\n".join(lines)


def _wrapped(before: str, name: str, fields: list[str]) -> list[str]:
    """``name(field, …)`` in lines that end after a field."""
    lines = [f"{before}{name}("]
    for place, field in enumerate(fields, start=1):
        more = field + ("," if place < len(fields) else ")")
        if len(lines[-1]) + len(more) > 96:
            lines.append("   ")
        lines[-1] += more if lines[-1].endswith("(") else f" {more}"
    return lines if fields else [f"{before}{name}()"]


def _descriptions(forms: list[Function]) -> str:
    said = dict.fromkeys(_described(form.name, form.description) for form in forms)
    return "\n\n".join(said) + "\n"


def _view(view: View) -> str:
    rows = []
    for column, kind, meaning in view.columns:
        if not meaning:
            raise ValueError(f"the column {column} of colbert.{view.name} has no comment")
        rows.append(f"| `{column}` | `{kind}` | {meaning} |\n")
    table = "| column | type | meaning |\n| --- | --- | --- |\n" + "".join(rows)
    return f"The view `colbert.{view.name}`. {_described(view.name, view.description)}\n\n{table}"


def _described(name: str, description: str | None) -> str:
    if not description:
        raise ValueError(f"colbert.{name} has no comment")
    return description


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n"


def _on_embedded_server() -> str:
    from colbert_pg.embedded import EmbeddedServer
    from colbert_pg.install import install

    directory = Path(tempfile.mkdtemp(prefix="colbert_pg-", dir="/tmp"))
    try:
        with (
            EmbeddedServer(directory / "data") as server,
            psycopg.connect(server.url) as connection,
        ):
            connection.execute("CREATE EXTENSION vector")
            install(connection)
            return reference(connection)
    finally:
        shutil.rmtree(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="a database that has colbert_pg")
    url = parser.parse_args().url
    if url is None:
        text = _on_embedded_server()
    else:
        with psycopg.connect(url) as connection:
            text = reference(connection)
    REFERENCE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
