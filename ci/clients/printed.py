"""What `daam connect --print TOOL` prints, given to the tool's own driver as it is printed.

Every line must lead to the same person's masked row. DBeaver's `-con` is taken apart as DBeaver does and given to its
JDBC driver. Npgsql is not among the packages a machine here installs, so its string is read by the rules of ADO.NET, every keyword must be
one that Npgsql documents, and what they say must connect.
"""
import json
import os
import pathlib
import selectors
import subprocess
import time
import urllib.request

QUERY = "SELECT email FROM app.people ORDER BY id LIMIT 1"
# https://www.npgsql.org/doc/connection-string-parameters.html
NPGSQL = {"Host": "host", "Port": "port", "Database": "dbname", "Username": "user", "Password": "password", "SSL Mode": "sslmode"}
JAVA = """
import java.sql.*;
public class Printed {
    public static void main(String[] given) throws Exception {
        Connection db = given.length == 1 ? DriverManager.getConnection(given[0]) : DriverManager.getConnection(given[0], given[1], given[2]);
        ResultSet found = db.createStatement().executeQuery(System.getenv("QUERY"));
        found.next();
        System.out.println(found.getString(1));
    }
}
"""
NODE = """
import pg from "pg";
const client = new pg.Client({ connectionString: process.argv[2] });
await client.connect();
console.log((await client.query(process.env.QUERY)).rows[0].email);
await client.end();
"""
PRISMA = """
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";
const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.argv[2] }) });
console.log((await db.$queryRawUnsafe(process.env.QUERY))[0].email);
await db.$disconnect();
"""
PYTHON = """
import asyncio, os, sys
kind, told = sys.argv[1:]
query = os.environ["QUERY"]
if kind == "asyncpg":
    import asyncpg
    async def ask():
        session = await asyncpg.connect(told)
        return await session.fetchval(query)
    print(asyncio.run(ask()))
elif kind == "sqlalchemy":
    import sqlalchemy
    url = told.replace("postgresql://", "postgresql+psycopg://", 1)
    with sqlalchemy.create_engine(url).connect() as session:
        print(session.execute(sqlalchemy.text(query)).scalar())
else:
    driver = __import__(kind)
    session = driver.connect(told)
    cursor = session.cursor()
    cursor.execute(query)
    print(cursor.fetchone()[0])
"""


def ado(text):
    """A connection string by the rules of System.Data.Common.DbConnectionStringBuilder."""
    found, at = {}, 0
    while at < len(text):
        key, _, rest = text[at:].partition("=")
        at += len(key) + 1
        if rest[:1] in ("'", '"'):
            quote, value, at = rest[0], "", at + 1
            while True:
                end = text.index(quote, at)
                value += text[at:end]
                at = end + 1
                if text[at:at + 1] != quote:
                    break
                value, at = value + quote, at + 1
            at += 1
        else:
            value, _, _ = rest.partition(";")
            at += len(value) + 1
        found[key.strip()] = value
    return found


def conninfo(values):
    quoted = ((name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in values.items())
    return " ".join(f"{name}='{value}'" for name, value in quoted)


def dotnet(text):
    told = ado(text)
    unknown = set(told) - set(NPGSQL)
    assert not unknown, f"Npgsql documents no {', '.join(unknown)}"
    assert told["SSL Mode"] == "Disable"
    return conninfo({NPGSQL[key]: value.lower() if key == "SSL Mode" else value for key, value in told.items()})


def dbeaver(text):
    told = dict(part.split("=", 1) for part in text.split("|"))
    assert told["driver"] == "postgresql" and told["connect"] == "true", told
    return [f"jdbc:postgresql://{told['host']}:{told['port']}/{told['database']}", told["user"], told["password"]]


class SignedIn:
    """Somebody who signed in to the sandbox, and so can `daam connect`."""

    def __init__(self, fabric, work):
        self.daam = fabric.daam
        # The agent has to know the person first.
        subprocess.run(fabric.through(["true"]), env=fabric.environment, check=True, capture_output=True)
        admin = (fabric.state / "admin-token").read_text().strip()
        wanted = {"name": "printed", "email": "dev@acme.test", "expires_in": 3600}
        request = urllib.request.Request(f"{fabric.control_plane.rstrip('/')}/v1/tokens", json.dumps(wanted).encode(), {"authorization": f"Bearer {admin}", "content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            token = json.load(answer)["token"]
        self.environment = {**fabric.environment, "DAAM_HOME": str(work / "signed-in"), "SSL_CERT_FILE": str(fabric.state / "relay-cert.pem"), "QUERY": QUERY}
        login = [self.daam, "login", "--control-plane", fabric.control_plane]
        subprocess.run(login, env={**self.environment, "DAAM_TOKEN": token}, check=True, capture_output=True)

    def printed(self, tool, tcp, use):
        """What is printed for the tool, used while it is good."""
        words = [self.daam, "connect", "app", "--print", tool, *(["--tcp"] if tcp else [])]
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(child.stdout, selectors.EVENT_READ)
                ready.select(60)
            line = child.stdout.readline().rstrip("\n")
            if not line:
                return f"nothing was printed: {child.stderr.read()[-500:]}"
            done = subprocess.run(use(line), env=self.environment, capture_output=True, text=True, timeout=120)
            return done.stdout.strip() or f"exit {done.returncode}: {done.stderr.strip()[-500:]}"
        finally:
            child.terminate()
            child.wait()


def check(fabric, work, tools):
    """How many lines led where they must, and what did not. `tools` installs drivers and says how they are started."""
    person = SignedIn(fabric, work)
    wanted = subprocess.run(fabric.through(["psql", "-X", "-A", "-t", "-c", QUERY]), env=fabric.environment, capture_output=True, text=True, check=True).stdout.strip()
    script = work / "printed_client.py"
    script.write_text(PYTHON)
    python, node, prisma, java = tools["python"](), tools["node"](), tools["prisma"](), tools["java"]()
    (node / "printed.mjs").write_text(NODE)
    (prisma / "printed.mjs").write_text(PRISMA)
    (work / "Printed.java").write_text(JAVA)
    subprocess.run(["javac", "-d", work, work / "Printed.java"], check=True, capture_output=True)
    by = lambda kind: lambda line: [python, script, kind, line]
    jdbc = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{work}:{java}", "Printed"]
    ways = [("url", tcp, name, by(name)) for tcp in (False, True) for name in ("psycopg", "psycopg2", "asyncpg", "sqlalchemy")]
    ways += [("url", tcp, "psql", lambda line: ["psql", "-X", "-A", "-t", "-c", QUERY, line]) for tcp in (False, True)]
    ways += [("psql", tcp, "a shell", lambda line: ["sh", "-c", f'{line} -X -A -t -c "$QUERY"']) for tcp in (False, True)]
    ways += [("url", True, "node-postgres", lambda line: ["node", node / "printed.mjs", line])]
    ways += [("prisma", tcp, "Prisma", lambda line: ["node", prisma / "printed.mjs", line]) for tcp in (False, True)]
    ways += [("jdbc", True, "PostgreSQL JDBC", lambda line: [*jdbc, line]), ("dbeaver", True, "DBeaver's driver", lambda line: [*jdbc, *dbeaver(line)])]
    ways += [("dotnet", tcp, "Npgsql's keywords", lambda line: [python, script, "psycopg", dotnet(line)]) for tcp in (False, True)]
    good, wrong = 0, []
    for tool, tcp, name, use in ways:
        found = person.printed(tool, tcp, use)
        if found == wanted:
            good += 1
        else:
            wrong.append(f"--print {tool}{' --tcp' if tcp else ''}, given to {name}:\n      expected {wanted}\n      found    {found}")
    return good, wrong
