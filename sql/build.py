"""Concatenate the SQL sources into the files that install and upgrade them.

    python sql/build.py            write sql/dist/
    python sql/build.py --check    fail if sql/dist/ is not what the sources give

`sql/dist/colbert_pg--VERSION.sql` is the script of CREATE EXTENSION, `colbert_pg--OLD--VERSION.sql`
that of ALTER EXTENSION UPDATE from a released version, and `install.sql` the one for psql, Alembic
and Python. All hold the same steps and functions. See sql/README.md.

`install.sql` is a single statement, a DO block: whatever runs it, the first error is the only one,
and nothing stays half installed.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

SQL = Path(__file__).resolve().parent
EXTENSION_GUARD = r'\echo Use "{} EXTENSION colbert_pg{}" to load this file. \quit' + "\n"
LEDGER_STEP = "0000_ledger"


class BuildError(Exception):
    """A source breaks a rule of sql/README.md."""


def version(sql: Path = SQL) -> str:
    """The version, from its one home: `default_version` in the control file."""
    control = (sql / "colbert_pg.control").read_text(encoding="utf-8")
    found = re.search(r"^default_version = '(\d+\.\d+\.\d+)'$", control, re.MULTILINE)
    if not found:
        raise BuildError("colbert_pg.control: default_version must read 'N.N.N'")
    return found[1]


def build(sql: Path = SQL) -> dict[str, str]:
    """Map each file name in dist/ to its text."""
    refuse_changed_releases(sql)
    body = [*schema_steps(sql), *functions(sql)]
    upgrades = {
        f"colbert_pg--{old}--{version(sql)}.sql": [
            EXTENSION_GUARD.format("ALTER", " UPDATE"),
            *packaging(sql, "requirements"),
            *body,
            *packaging(sql, "extension_end"),
        ]
        for old in released(sql)
        if old != version(sql)
    }
    parts = upgrades | {
        f"colbert_pg--{version(sql)}.sql": [
            EXTENSION_GUARD.format("CREATE", ""),
            *packaging(sql, "requirements", "extension_begin"),
            *body,
            *packaging(sql, "extension_end"),
        ],
        "install.sql": [
            *packaging(sql, "install_header"),
            "DO $install$\nBEGIN\n",
            *map(inner_block, packaging(sql, "install_begin", "requirements", "install_schema")),
            *map(inner_block, schema_steps(sql)),
            *map(execution, functions(sql)),
            *map(inner_block, packaging(sql, "install_end")),
            "END\n$install$;\n",
        ],
    }
    return {
        name: "\n".join(texts).replace("@version@", version(sql)) for name, texts in parts.items()
    }


def released(sql: Path) -> list[str]:
    """The versions that were released: a folder each in released/."""
    return sorted(path.name for path in (sql / "released").glob("*.*.*"))


def refuse_changed_releases(sql: Path) -> None:
    """What SHA256SUMS lists, the steps of schema/ among it, is as it was when it was released."""
    for old in released(sql):
        folder = sql / "released" / old
        for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
            digest, name = line.split("  ")
            file = (folder / name).resolve()
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                raise BuildError(
                    f"{file.relative_to(sql)}: gone or changed since {old} was released; "
                    "a change is a step with the next number"
                )


def packaging(sql: Path, *names: str) -> list[str]:
    return [source(sql, sql / "packaging" / f"{name}.sql") for name in names]


def functions(sql: Path) -> list[str]:
    """The files that functions/ORDER.txt lists, in that order: all there are, each once."""
    folder = sql / "functions"
    lines = (folder / "ORDER.txt").read_text(encoding="utf-8").splitlines()
    listed = [name for line in lines if (name := line.partition("#")[0].strip())]
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.sql")}
    for problem, names in (
        ("listed twice", sorted({name for name in listed if listed.count(name) > 1})),
        ("listed but not there", sorted(set(listed) - there)),
        ("there but not listed", sorted(there - set(listed))),
    ):
        if names:
            raise BuildError(f"functions/ORDER.txt: {problem}: {', '.join(names)}")
    return [source(sql, folder / name) for name in listed]


def inner_block(text: str) -> str:
    """A DO statement as a block inside another one."""
    return re.sub(r"^DO (\$\w+\$)\n(.*\nEND)\n\1;$", r"\2;", text, flags=re.MULTILINE | re.DOTALL)


def execution(text: str) -> str:
    """The statements of a source, executed by a block around them."""
    return f"EXECUTE $part$\n{text}$part$;\n"


def schema_steps(sql: Path) -> list[str]:
    """schema/NNNN_name.sql in the order of their numbers, each run once per database."""
    return [schema_step(sql, path) for path in sorted((sql / "schema").glob("*.sql"))]


def schema_step(sql: Path, path: Path) -> str:
    text = source(sql, path)
    name = path.stem
    first_line = re.match(r"-- sql/.*\n-- (\d+\.\d+\.\d+): \S.*\n", text)
    if not re.fullmatch(r"\d{4}_[a-z0-9_]+", name):
        raise BuildError(f"schema/{path.name}: the name must read NNNN_name.sql")
    if not first_line:
        raise BuildError(
            f"schema/{path.name}: the first line must read '-- {version(sql)}: what this step does'"
        )
    due = (
        "pg_catalog.to_regclass('colbert._migration') IS NULL"
        if name == LEDGER_STEP
        else f"NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '{name}')"
    )
    return f"""\
DO $run_once$
BEGIN
  IF {due} THEN
    EXECUTE $step$
{text}$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('{name}', '{first_line[1]}');
  END IF;
END
$run_once$;
"""


def source(sql: Path, path: Path) -> str:
    """The text of a file, under its own name."""
    text = path.read_text(encoding="utf-8")
    if not text.endswith("\n") or "\r" in text:
        raise BuildError(f"{path.relative_to(sql)}: lines must end with a newline alone")
    if re.search(r"^\\", text, re.MULTILINE):
        raise BuildError(f"{path.relative_to(sql)}: psql commands work in psql alone")
    if quote := re.search(r"\$(install|part|run_once|step)\$", text):
        raise BuildError(f"{path.relative_to(sql)}: {quote[0]} is a quote of the build's own")
    return f"-- sql/{path.relative_to(sql).as_posix()}\n{text}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Concatenate the SQL sources into sql/dist/.")
    parser.add_argument("--check", action="store_true", help="fail if sql/dist/ is stale")
    arguments = parser.parse_args()
    dist = SQL / "dist"
    try:
        built = build()
    except BuildError as error:
        print(f"sql/build.py: {error}", file=sys.stderr)
        return 1
    dist.mkdir(exist_ok=True)
    stale = [
        name
        for name, text in built.items()
        if not (dist / name).exists() or (dist / name).read_text(encoding="utf-8") != text
    ]
    if arguments.check:
        if stale:
            print(f"stale in sql/dist/: {', '.join(stale)}; run make build", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (dist / name).write_text(built[name], encoding="utf-8")
        print(f"wrote sql/dist/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
