"""psycopg 3: text and binary, pipeline, server-side cursors, COPY, two-phase start of types."""
import os

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from said import refused, rows, say, want


def main():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as db:
        same(db)
        masked(db)


def same(db):
    say("server", db.info.server_version // 10000)
    say("encoding", db.info.encoding)
    say("types", db.execute("SELECT * FROM app.types ORDER BY id").fetchall())
    cursor = db.cursor(binary=True)
    say("types, binary", cursor.execute("SELECT * FROM app.types ORDER BY id").fetchall())
    say("columns", [(c.name, c.type_code) for c in cursor.description])
    made = db.execute("INSERT INTO app.items (name, amount) VALUES (%s, %s) RETURNING id, made, twice", ("fig", 4))
    say("insert", made.fetchall())
    with db.cursor() as many:
        many.executemany("INSERT INTO app.items (name) VALUES (%s) RETURNING id", [("a",), ("b",), ("c",)], returning=True)
        made = [many.fetchone()]
        while many.nextset():
            made.append(many.fetchone())
        say("many", made)
    with db.transaction(force_rollback=True):
        db.execute("DELETE FROM app.items")
        try:
            with db.transaction():
                db.execute("INSERT INTO app.items (name) VALUES ('x'), ('x')")
        except errors.UniqueViolation as error:
            say("unique", (error.sqlstate, error.diag.constraint_name, error.diag.message_detail))
        say("inside", db.execute("SELECT count(*) FROM app.items").fetchone())
    say("after", db.execute("SELECT count(*) FROM app.items").fetchone())
    with db.transaction(), db.cursor(name="some") as some:
        some.itersize = 100
        some.execute("SELECT n, t.words FROM generate_series(1, 1000) n LEFT JOIN app.types t ON t.id = n ORDER BY n")
        say("cursor", sum(row[0] for row in some))
    with db.pipeline():
        parts = [db.execute("SELECT %s::int + amount FROM app.items WHERE name = 'plum'", (n,)) for n in range(20)]
    say("pipeline", [part.fetchone()[0] for part in parts])
    with db.cursor() as copy:
        with copy.copy("COPY app.items (name, amount) FROM STDIN") as into:
            for n in range(500):
                into.write_row((f"copied {n}", n + 1))
        with copy.copy("COPY (SELECT name, amount FROM app.items WHERE name LIKE 'copied%' ORDER BY amount) TO STDOUT") as out:
            say("copied", sum(len(bytes(block)) for block in out))
        with copy.copy("COPY app.items (name) TO STDOUT (FORMAT binary)") as out:
            say("binary copy", sum(len(bytes(block)) for block in out) > 0)
    for number in range(8):
        db.execute("SELECT amount FROM app.items WHERE name = %s", ("plum",), prepare=True).fetchone()
    say("prepared", len(db.execute("SELECT name FROM pg_prepared_statements").fetchall()) > 0)
    db.execute("DISCARD ALL")
    db.prepare_threshold = None
    say("after discard", db.execute("SELECT amount FROM app.items WHERE name = %s", ("plum",)).fetchone())
    say("json", db.execute("SELECT %s::jsonb -> 'a'", (Jsonb({"a": [1, 2]}),)).fetchone())
    for what in ("SELECT nothing FROM app.items", "SELEC 1", "SELECT 1/0", "SELECT 'x'::int"):
        try:
            db.execute(what)
        except psycopg.Error as error:
            say(what, (error.sqlstate, error.diag.message_primary, error.diag.statement_position))
    db.execute("SET statement_timeout = '50ms'")
    say("timeout", refused(lambda: db.execute("SELECT pg_sleep(5)"), psycopg.Error))
    db.execute("RESET statement_timeout")


def masked(db):
    want("people", rows(db.execute("SELECT id, name, email, ssn FROM app.people ORDER BY id").fetchall()))
    for name, key in (("by key", 1), ("by key again", 3)):
        want(name, rows(db.execute("SELECT name, email FROM app.people WHERE id = %s", (key,), prepare=True).fetchall()))
    want("compared", db.execute("SELECT count(*) FROM app.people WHERE email = %s", ("ann@example.com",)).fetchone()[0])
    joined = "SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1"
    want("joined", rows(db.execute(joined).fetchall()))
    made = db.execute("INSERT INTO app.contacts (email, note) VALUES (%s, %s) RETURNING id, email, note", ("emil@example.com", "second"))
    want("insert", rows(made.fetchall()))
    want("update", rows(db.execute("UPDATE app.contacts SET note = %s WHERE id = 1 RETURNING email, note", ("changed",)).fetchall()))
    want("delete", db.execute("DELETE FROM app.contacts").rowcount)
    want("secrets", refused(lambda: db.execute("SELECT * FROM app.secrets"), psycopg.Error))
    want("nothing", refused(lambda: db.execute("SELECT * FROM app.nothing"), psycopg.Error))
    with psycopg.ClientCursor(db) as client:
        want("aggregate", client.execute("SELECT count(DISTINCT region) + %s FROM app.people", (1,)).fetchone()[0])


main()
