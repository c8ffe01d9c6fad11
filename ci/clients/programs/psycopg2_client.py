"""psycopg2: values in the text, named cursors, COPY, notices, and what pools do between two users of a connection."""
import io
import os

import psycopg2
import psycopg2.extras
from psycopg2 import errors

from said import refused, rows, say, want


def main():
    db = psycopg2.connect(os.environ["DATABASE_URL"])
    db.autocommit = True
    same(db)
    masked(db)
    db.close()


def asked(db, sql, values=None):
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def same(db):
    say("encoding", db.encoding)
    psycopg2.extras.register_uuid()
    with db.cursor() as cursor:
        cursor.execute("SELECT * FROM app.types ORDER BY id")
        say("columns", [(column.name, column.type_code) for column in cursor.description])
        say("types", [[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor.fetchall()])
    made = "INSERT INTO app.items (name, amount) VALUES (%s, %s) RETURNING id, made, twice"
    say("insert", asked(db, made, ("fig", 4)))
    with db.cursor() as cursor:
        pairs = [(f"many {n}", n + 1) for n in range(25)]
        found = psycopg2.extras.execute_values(
            cursor, "INSERT INTO app.items (name, amount) VALUES %s RETURNING id", pairs, page_size=10, fetch=True)
        say("values", len(found))
        psycopg2.extras.execute_batch(cursor, "UPDATE app.items SET amount = %s WHERE name = %s",
                                      [(n + 2, f"many {n}") for n in range(25)])
    db.autocommit = False
    asked(db, "SELECT 1")
    with db.cursor() as cursor:
        cursor.execute("SAVEPOINT s")
        try:
            cursor.execute("INSERT INTO app.items (name) VALUES ('x'), ('x')")
        except errors.UniqueViolation as error:
            say("unique", (error.pgcode, error.diag.constraint_name))
        say("aborted", refused(lambda: cursor.execute("SELECT 1"), psycopg2.Error))
        cursor.execute("ROLLBACK TO s")
    with db.cursor(name="some", withhold=True) as some:
        some.itersize = 100
        some.execute("SELECT n, t.words FROM generate_series(1, 1000) n LEFT JOIN app.types t ON t.id = n ORDER BY n")
        first = some.fetchmany(5)
        db.commit()
        say("held cursor", (first[0], sum(row[0] for row in some)))
    db.commit()
    db.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
    say("serializable", asked(db, "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"))
    say("read only", refused(lambda: asked(db, made, ("no", 1)), psycopg2.Error))
    db.rollback()
    db.set_session(isolation_level="READ COMMITTED", readonly=False, deferrable=False, autocommit=True)
    with db.cursor() as cursor:
        cursor.copy_expert("COPY app.items (name, amount) FROM STDIN", io.StringIO("".join(f"copied {n}\t{n + 1}\n" for n in range(500))))
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT name, amount FROM app.items WHERE name LIKE 'copied%' ORDER BY amount) TO STDOUT", out)
        say("copied", len(out.getvalue()))
    # A pool does this with a connection that comes back.
    db.reset()
    db.autocommit = True
    say("after reset", asked(db, "SELECT amount FROM app.items WHERE name = %s", ("plum",)))
    with db.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SELECT name, amount FROM app.items ORDER BY id LIMIT 2")
        say("dicts", [dict(row) for row in cursor.fetchall()])
    for what in ("SELECT nothing FROM app.items", "SELEC 1", "SELECT 1/0"):
        try:
            asked(db, what)
        except psycopg2.Error as error:
            say(what, (error.pgcode, error.diag.message_primary, error.diag.statement_position))


def masked(db):
    want("people", rows(asked(db, "SELECT id, name, email, ssn FROM app.people ORDER BY id")))
    want("by key", rows(asked(db, "SELECT name, email FROM app.people WHERE id = %s", (1,))))
    want("compared", asked(db, "SELECT count(*) FROM app.people WHERE email = %s", ("ann@example.com",))[0][0])
    want("joined", rows(asked(db, "SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1")))
    made = "INSERT INTO app.contacts (email, note) VALUES (%s, %s) RETURNING id, email, note"
    want("insert", rows(asked(db, made, ("emil@example.com", "second"))))
    want("update", rows(asked(db, "UPDATE app.contacts SET note = %s WHERE id = 1 RETURNING email, note", ("changed",))))
    with db.cursor() as cursor:
        cursor.execute("DELETE FROM app.contacts")
        want("delete", cursor.rowcount)
    want("secrets", refused(lambda: asked(db, "SELECT * FROM app.secrets"), psycopg2.Error))
    want("nothing", refused(lambda: asked(db, "SELECT * FROM app.nothing"), psycopg2.Error))


main()
