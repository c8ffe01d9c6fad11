// Prisma: its client over node-postgres, with RETURNING, upserts, nested writes' transactions and raw SQL.
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";

const show = (value) => JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `${item}n` : item));
const say = (what, value) => console.log("=", what, "->", show(value));
const want = (what, value) => console.log("!", what, "->", value);
const rows = (found) => found.map((row) => Object.values(row).map((value) => value ?? "").join("|")).join("; ");
const code = (error) => error.meta?.code ?? error.meta?.driverAdapterError?.cause?.originalCode ?? error.code ?? error.message;
const refused = (waiting) => waiting.then(() => "no error", code);

const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL.split("?")[0], max: 2 });
const db = new PrismaClient({ adapter });

async function same() {
  say("many", await db.items.findMany({ orderBy: { id: "asc" } }));
  say("created", await db.items.create({ data: { name: "fig", amount: 4 } }));
  say("several", await db.items.createManyAndReturn({ data: [{ name: "a" }, { name: "b", amount: 2 }] }));
  say("updated", await db.items.update({ where: { name: "fig" }, data: { amount: { increment: 3 } } }));
  for (const amount of [9, 10]) {
    say("upserted", await db.items.upsert({ where: { name: "kiwi" }, create: { name: "kiwi", amount }, update: { amount } }));
  }
  say("deleted", await db.items.delete({ where: { name: "kiwi" } }));
  say("counted", await db.items.aggregate({ _count: true, _sum: { amount: true }, where: { amount: { gt: 1 } } }));
  say("grouped", await db.items.groupBy({ by: ["made"], _count: { _all: true } }));
  say("batch", await db.$transaction([db.items.count(), db.items.findFirst({ where: { name: { contains: "PEA", mode: "insensitive" } } })]));
  const failed = db.$transaction(async (within) => {
    await within.items.deleteMany();
    await within.items.create({ data: { name: "x" } });
    await within.items.create({ data: { name: "x" } });
  });
  say("rolled back", await refused(failed));
  say("after", await db.items.count());
  say("raw", await db.$queryRaw`SELECT name, amount::int AS amount FROM app.items WHERE id = ${1}`);
  say("executed", await db.$executeRaw`UPDATE app.items SET amount = amount WHERE id < ${3}`);
}

async function masked() {
  const fields = { id: true, name: true, email: true, ssn: true };
  want("people", rows(await db.people.findMany({ select: fields, orderBy: { id: "asc" } })));
  want("by key", rows([await db.people.findUnique({ select: { name: true, email: true }, where: { id: 1 } })]));
  want("compared", await db.people.count({ where: { email: "ann@example.com" } }));
  const made = await db.contacts.create({ data: { email: "emil@example.com", note: "second" } });
  want("insert", rows([made]));
  want("update", rows([await db.contacts.update({ where: { id: 1 }, data: { note: "changed" }, select: { email: true, note: true } })]));
  // An ORM saves the whole record; what is masked in it would destroy what is stored.
  want("saved back", await refused(db.contacts.update({ where: { id: 1 }, data: { email: "d***@e***.com", note: "again" } })));
  want("delete", (await db.contacts.deleteMany()).count);
  want("secrets", await refused(db.secrets.findMany()));
}

await same();
await masked();
await db.$disconnect();
