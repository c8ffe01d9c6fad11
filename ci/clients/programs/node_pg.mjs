// node-postgres: its pool, prepared statements by name, a cursor, and COPY through pg-copy-streams.
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import pg from "pg";
import Cursor from "pg-cursor";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";

const show = (value) => (value === undefined ? "undefined" : JSON.stringify(value));
const say = (what, value) => console.log("=", what, "->", show(value));
const want = (what, value) => console.log("!", what, "->", value);
const rows = (found) => found.map((row) => row.map((value) => value ?? "").join("|")).join("; ");
const refused = (waiting) => waiting.then(() => "no error", (error) => error.code);

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL.split("?")[0], max: 1 });
const array = (text, values) => ({ text, values, rowMode: "array" });

async function same(db) {
  const types = await db.query(array("SELECT * FROM app.types ORDER BY id"));
  say("types", types.rows);
  say("fields", types.fields.map((field) => [field.name, field.dataTypeID]));
  say("insert", (await db.query(array("INSERT INTO app.items (name, amount) VALUES ($1, $2) RETURNING *", ["fig", 4]))).rows);
  const named = { name: "by-amount", text: "SELECT name FROM app.items WHERE amount > $1 ORDER BY id", rowMode: "array" };
  for (const amount of [1, 4, 7]) say(`named ${amount}`, (await db.query({ ...named, values: [amount] })).rows);
  await db.query("BEGIN");
  await db.query("DELETE FROM app.items");
  await db.query("SAVEPOINT s");
  say("unique", await refused(db.query("INSERT INTO app.items (name) VALUES ('x'), ('x')")));
  say("aborted", await refused(db.query("SELECT 1")));
  await db.query("ROLLBACK TO s");
  say("inside", (await db.query("SELECT count(*) FROM app.items")).rows);
  await db.query("ROLLBACK");
  say("several", (await db.query("SELECT 1 AS a; SELECT count(*) AS b FROM app.items; SELECT 'c' AS c")).map((r) => r.rows));
  const cursor = db.query(new Cursor("SELECT n FROM generate_series(1, 250) n ORDER BY n"));
  let total = 0;
  for (let part = await cursor.read(100); part.length; part = await cursor.read(100)) for (const row of part) total += row.n;
  await cursor.close();
  say("cursor", total);
  const lines = Array.from({ length: 500 }, (_, n) => `copied ${n}\t${n + 1}\n`);
  await pipeline(Readable.from(lines), db.query(copyFrom("COPY app.items (name, amount) FROM STDIN")));
  let bytes = 0;
  for await (const block of db.query(copyTo("COPY (SELECT * FROM app.items ORDER BY id) TO STDOUT"))) bytes += block.length;
  say("copied", bytes);
  for (const what of ["SELEC 1", "SELECT 1/0"]) {
    say(what, await db.query(what).catch((error) => [error.code, error.message, error.position]));
  }
  say("many at once", (await Promise.all([1, 2, 3, 4].map((n) => db.query(array("SELECT $1::int * amount FROM app.items WHERE id = 1", [n]))))).map((r) => r.rows));
  await db.query("DISCARD ALL");
  say("after discard", (await db.query(array("SELECT name FROM app.items WHERE id = $1", [2]))).rows);
}

async function masked(db) {
  const read = async (text, values) => rows((await db.query(array(text, values))).rows);
  want("people", await read("SELECT id, name, email, ssn FROM app.people ORDER BY id"));
  const named = { name: "person", text: "SELECT name, email FROM app.people WHERE id = $1", rowMode: "array" };
  want("by key", rows((await db.query({ ...named, values: [1] })).rows));
  want("by key again", rows((await db.query({ ...named, values: [3] })).rows));
  want("compared", await read("SELECT count(*) FROM app.people WHERE email = $1", ["ann@example.com"]));
  want("joined", await read("SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1"));
  want("insert", await read("INSERT INTO app.contacts (email, note) VALUES ($1, $2) RETURNING id, email, note", ["emil@example.com", "second"]));
  want("update", await read("UPDATE app.contacts SET note = $1 WHERE id = 1 RETURNING email, note", ["changed"]));
  want("delete", (await db.query("DELETE FROM app.contacts")).rowCount);
  want("secrets", await refused(db.query("SELECT * FROM app.secrets")));
  want("nothing", await refused(db.query("SELECT * FROM app.nothing")));
}

const db = await pool.connect();
await same(db);
await masked(db);
db.release();
await pool.end();
