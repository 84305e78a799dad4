// A Worker that exceeds one of production's limits, by name. It returns the error that it got, if any.
import { WorkerEntrypoint } from "cloudflare:workers";
import { faulty } from "./faulty.mjs";

const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const all = async (n, ask) => {
  for (let i = 0; i < n; i++) await ask(i);
};
const batchOf = (DB, n) => DB.batch(times(n, () => DB.prepare("SELECT 1")));

const attempts = {
  "a key written twice": ({ TOKENS }, key) => all(2, (i) => TOKENS.put(key, `${i}`)),
  "a key written and deleted": async ({ TOKENS }, key) => {
    await TOKENS.put(key, "1");
    await TOKENS.delete(key);
  },
  "a key written twice in two seconds": async ({ TOKENS }, key) => {
    await TOKENS.put(key, "1");
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await TOKENS.put(key, "2");
  },
  "1,000 reads of KV": ({ TOKENS }) => all(1_000, (i) => TOKENS.get(`k${i % 3}`)),
  "1,001 reads of KV": ({ TOKENS }) => all(1_001, (i) => TOKENS.get(`k${i % 3}`)),
  "a value of 26 MiB": ({ TOKENS }, key) => TOKENS.put(key, new Uint8Array(26 << 20)),
  "a key of 513 bytes": ({ TOKENS }) => TOKENS.put("k".repeat(513), "1"),
  "an expirationTtl of 59 s": ({ TOKENS }, key) => TOKENS.put(key, "1", { expirationTtl: 59 }),
  "a cacheTtl of 29 s": ({ TOKENS }) => TOKENS.get("k", { cacheTtl: 29 }),
  "a list of 1,001 keys": ({ TOKENS }) => TOKENS.list({ limit: 1_001 }),
  "1,000 queries": ({ DB }) => batchOf(DB, 1_000),
  "1,001 queries": async ({ DB }) => {
    await batchOf(DB, 1_000);
    await DB.prepare("SELECT 1").first();
  },
  "1,001 queries to two databases": async ({ DB, USAGE_DB }) => {
    await batchOf(DB, 500);
    await batchOf(USAGE_DB, 501);
  },
  "1,001 reads of R2": ({ CALLS }) => all(1_001, (i) => CALLS.head(`k${i}`)),
  "101 parameters": ({ DB }) =>
    DB.prepare(`SELECT ${times(101, () => "?").join()}`)
      .bind(...times(101, (i) => i))
      .all(),
  "a statement of 101 KB": ({ DB }) => DB.prepare(`SELECT 1 /*${"x".repeat(101_000)}*/`).all(),
  "a value of 2.1 MB": ({ DB }) => DB.prepare("SELECT ?").bind("x".repeat(2_100_000)).all(),
  "a message of 129 KB": ({ USAGE }) => USAGE.send("x".repeat(129_000)),
  "101 messages at once": ({ USAGE }) => USAGE.sendBatch(times(101, () => ({ body: "x" }))),
  "a batch of 257 KB": ({ USAGE }) => USAGE.sendBatch(times(3, () => ({ body: "x".repeat(86_000) }))),
  "three rows": async ({ DB }) => {
    await DB.prepare("CREATE TABLE IF NOT EXISTS t (x)").run();
    await DB.prepare("INSERT INTO t VALUES (1), (2), (3)").run();
  },
  "seven reads at once": ({ TOKENS }) => Promise.all(times(7, (i) => TOKENS.get(`seven${i}`))),
  read: ({ TOKENS }, key) => TOKENS.get(key),
};

export default faulty(
  class extends WorkerEntrypoint {
    async fetch(request) {
      const { attempt, key } = await request.json();
      try {
        return Response.json({ value: (await attempts[attempt](this.env, key)) ?? null });
      } catch (error) {
        return Response.json({ error: error.message });
      }
    }
    scheduled() {
      return attempts["1,000 reads of KV"](this.env);
    }
    async queue(batch) {
      await attempts["1,000 reads of KV"](this.env);
      if (batch.messages.some(({ body }) => body === "bad")) throw new Error("a bad message");
    }
  },
);
