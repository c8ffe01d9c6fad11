"""psql: what people type, the \\d family, \\copy, its variables and cursors, and the completion of names by TAB."""
import os
import pty
import re
import select
import subprocess
import time

from said import say, want

ENVIRONMENT = {**os.environ, "PSQL_HISTORY": "/dev/null", "PAGER": "", "TERM": "dumb", "PSQLRC": "/dev/null"}


def psql(*commands, options=("-A", "-t")):
    words = ["psql", "-X", "-q", "-v", "VERBOSITY=verbose", *options]
    for command in commands:
        words += ["-c", command]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    # The place in the server's sources is nobody's business here; notices are about masks.
    errors = [line for line in done.stderr.splitlines() if re.match("ERROR|FATAL|psql", line)]
    return done.stdout.strip(), errors, done.returncode


def complete(typed):
    """What psql makes of the text once TAB is pressed twice."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("psql", ["psql", "-X", "-q"], {**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "300"})
    seen = b""

    def read_until(text, seconds=20):
        nonlocal seen
        end = time.monotonic() + seconds
        while text not in seen and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:
                    return
        return text in seen

    read_until(b"=")
    seen = b""
    os.write(terminal, typed.encode() + b"\t")
    found = read_until(b"items")
    os.write(terminal, b"\x15\\q\n")
    end = time.monotonic() + 20
    while os.waitpid(child, os.WNOHANG)[0] == 0 and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                pass
    os.close(terminal)
    return bool(found)


def main():
    say("types", psql("SELECT * FROM app.types ORDER BY id"))
    for command in (
        r"\d app.items", r"\d+ app.types", r"\dt app.*", r"\dn app", r"\dT app.*", r"\df app.*", r"\di app.*",
        r"\ds app.*", r"\dv app.*", r"\dx", r"\l template1", r"\dC", r"\do", r"\sf now", r"\dconfig work_mem",
        r"\conninfo",
    ):
        out, errors, status = psql(command)
        say(command, (status, errors) if command in (r"\conninfo", r"\dx") else (out, errors, status))
    say("describe", psql(r"SELECT id, name FROM app.items \gdesc"))
    say("insert", psql("INSERT INTO app.items (name, amount) VALUES ('fig', 4) RETURNING id, twice"))
    say("exec", psql(r"SELECT format('SELECT %L', name) FROM app.items ORDER BY id \gexec"))
    say("set", psql(r"SELECT max(amount) AS most FROM app.items \gset", "\\echo :most"))
    say("crosstab", psql(r"SELECT name, amount > 3, amount FROM app.items ORDER BY name \crosstabview"))
    say("fetched", psql(r"\set FETCH_COUNT 100", "SELECT sum(n) FROM generate_series(1, 1000) n"))
    say("several", psql("BEGIN; DELETE FROM app.items; SELECT count(*) FROM app.items; ROLLBACK; SELECT count(*) FROM app.items"))
    with open("copied.txt", "w", encoding="utf-8") as file:
        file.writelines(f"copied {n}\t{n + 1}\n" for n in range(300))
    say("copy in", psql(r"\copy app.items (name, amount) from 'copied.txt'"))
    say("copy out", psql(r"\copy (select name, amount from app.items order by id) to stdout csv"))
    say("copy table", psql("COPY app.items (name) TO STDOUT"))
    say("savepoint on error", psql(r"\set ON_ERROR_ROLLBACK on", "BEGIN", "SELECT 1/0", "SELECT 2", "COMMIT"))
    say("position", psql("SELECT 1 +\n  nothing FROM app.items")[1])
    for typed in ("SELECT * FROM app.it", "SELECT * FROM app.items WHERE na", "\\d app.it", "INSERT INTO app.it"):
        say(f"TAB after {typed}", complete(typed))
    want("people", psql("SELECT id, name, email, ssn FROM app.people ORDER BY id")[0].replace("\n", "; "))
    want("compared", psql("SELECT count(*) FROM app.people WHERE email = 'ann@example.com'")[0])
    by_key = psql("PREPARE p AS SELECT name, email FROM app.people WHERE id = $1", "EXECUTE p(1)", "EXECUTE p(3)")[0]
    for name, line in zip(("by key", "by key again"), by_key.splitlines()):
        want(name, line)
    joined = psql("SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1")[0]
    want("joined", joined.replace("\n", "; "))
    want("insert", psql("INSERT INTO app.contacts (email, note) VALUES ('emil@example.com', 'second') RETURNING id, email, note")[0])
    want("update", psql("UPDATE app.contacts SET note = 'changed' WHERE id = 1 RETURNING email, note")[0])
    want("delete", psql("WITH gone AS (DELETE FROM app.contacts RETURNING 1) SELECT count(*) FROM gone")[0])
    want("secrets", psql("SELECT * FROM app.secrets")[1][0].split()[1].strip(":"))
    want("copied out", psql(r"\copy app.people to stdout csv")[0].replace("\n", "; "))


main()
