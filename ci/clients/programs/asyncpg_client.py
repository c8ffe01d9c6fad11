"""asyncpg: everything binary and prepared, its own type introspection, its pool's reset of a session."""
import asyncio
import datetime
import os

import asyncpg

from said import rows, say, want


async def error_of(waiting):
    try:
        await waiting
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return "no error"


async def main():
    url = os.environ["DATABASE_URL"].split("?")[0]
    async with asyncpg.create_pool(url, min_size=1, max_size=1, ssl=False) as pool:
        async with pool.acquire() as db:
            await same(db)
        # The pool has reset the session in between.
        async with pool.acquire() as db:
            await masked(db)


async def same(db):
    say("server", db.get_server_version()[0])
    say("types", [tuple(row) for row in await db.fetch("SELECT * FROM app.types ORDER BY id")])
    statement = await db.prepare("SELECT feeling, numbers, range FROM app.types WHERE id = $1")
    say("attributes", [(a.name, a.type.name) for a in statement.get_attributes()])
    say("prepared", [tuple(row) for row in await statement.fetch(1)])
    day = datetime.date(2026, 3, 1)
    made = await db.fetchrow("INSERT INTO app.items (name, amount, made) VALUES ($1, $2, $3) RETURNING *", "fig", 4, day)
    say("insert", tuple(made))
    await db.executemany("INSERT INTO app.items (name) VALUES ($1)", [("a",), ("b",), ("c",)])
    say("many", await db.fetchval("SELECT count(*) FROM app.items"))
    transaction = db.transaction()
    await transaction.start()
    await db.execute("DELETE FROM app.items")
    say("unique", await error_of(inner(db)))
    say("inside", await db.fetchval("SELECT count(*) FROM app.items"))
    await transaction.rollback()
    async with db.transaction(isolation="serializable", readonly=True):
        total = 0
        async for row in db.cursor("SELECT n FROM generate_series(1, 1000) n ORDER BY n", prefetch=100):
            total += row["n"]
        say("cursor", total)
    say("copy in", await db.copy_records_to_table("items", schema_name="app", columns=["name", "amount"], records=[(f"copied {n}", n + 1) for n in range(500)]))
    read = []

    async def take(block):
        read.append(len(block))

    say("copy out", await db.copy_from_query("SELECT * FROM app.items WHERE amount > $1", 3, output=take))
    say("copied", sum(read))
    say("enum back", await db.fetchval("SELECT $1::app.mood", "sad"))
    say("array back", await db.fetchval("SELECT $1::int[]", [1, None, 3]))
    for what in ("SELEC 1", "SELECT 1/0"):
        say(what, await error_of(db.fetch(what)))
    say("timeout", await give_up(db))
    say("still there", await db.fetchval("SELECT 1"))


async def give_up(db):
    try:
        await db.fetch("SELECT pg_sleep(30)", timeout=0.3)
    except asyncio.TimeoutError:
        return "given up"


async def inner(db):
    async with db.transaction():
        await db.execute("INSERT INTO app.items (name) VALUES ('x'), ('x')")


async def masked(db):
    want("people", rows(await db.fetch("SELECT id, name, email, ssn FROM app.people ORDER BY id")))
    statement = await db.prepare("SELECT name, email FROM app.people WHERE id = $1")
    want("by key", rows(await statement.fetch(1)))
    want("by key again", rows(await statement.fetch(3)))
    want("compared", await db.fetchval("SELECT count(*) FROM app.people WHERE email = $1", "ann@example.com"))
    want("joined", rows(await db.fetch("SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1")))
    made = "INSERT INTO app.contacts (email, note) VALUES ($1, $2) RETURNING id, email, note"
    want("insert", rows(await db.fetch(made, "emil@example.com", "second")))
    want("update", rows(await db.fetch("UPDATE app.contacts SET note = $1 WHERE id = 1 RETURNING email, note", "changed")))
    want("delete", (await db.execute("DELETE FROM app.contacts")).split()[1])
    want("secrets", await error_of(db.fetch("SELECT * FROM app.secrets")))
    want("nothing", await error_of(db.fetch("SELECT * FROM app.nothing")))


asyncio.run(main())
