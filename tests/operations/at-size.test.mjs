// Publication, comparison and resealing of many entries: bounded runs that finish, with prompt revocations in between.
// `SIZE=100000 node --test --test-force-exit tests/operations/at-size.test.mjs` measures a large system.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { randomBytes } from "node:crypto";
import { root } from "../../scripts/setup.mjs";
import { as, sleep, startOnSockets } from "../support/harness.mjs";
import { seal, sha256 } from "../support/tokens.mjs";

const SIZE = Number(process.env.SIZE ?? 1_500);
const OLD_KEY = randomBytes(32).toString("base64");
const GONE_KEY = randomBytes(32).toString("base64");
const NEW_KEY = randomBytes(32).toString("base64");

let system;
before(async () => {
  system = await startOnSockets({ faults: true, apiVars: { CREDENTIAL_KEY: `${NEW_KEY},${OLD_KEY}` } });
  await ask("GET", "/api/teams");
  for (let from = 0; from < SIZE; from += 5_000) {
    const to = Math.min(from + 5_000, SIZE);
    const rows = `WITH RECURSIVE made (n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM made WHERE n + 1 < ${to})`;
    await system.db.batch([
      system.db.prepare(`INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at, last_used_at)
        ${rows} SELECT printf('tok_%08d', n), 'made up', 'automation', '["openai"]', 1, 1, n FROM made`),
      system.db.prepare(`INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at)
        ${rows} SELECT printf('%064x', n), printf('tok_%08d', n), 'ntk_', 'abcd', 1 FROM made`),
    ]);
  }
});
after(() => system?.stop());

const ask = (method, where, body) => as(system, "admin", method, where, body);
const one = (sql, column) => system.db.prepare(sql).first(column);
const counts = async () => (await system.faults("api")).counts;
const say = (text) => console.log(`# ${SIZE}: ${text}`);

/** Makes and revokes a token. Returns the time in ms until the revocation was published. */
async function revoke() {
  const token = (await ask("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] })).body;
  const began = Date.now();
  const revoked = await ask("DELETE", `/api/tokens/${token.id}`);
  assert.deepEqual([revoked.status, revoked.body.propagation], [200, "published"]);
  assert.equal(JSON.parse(await system.kv.get(`token:${sha256(token.token)}`)).state, "revoked");
  return Date.now() - began;
}

/** Runs the cron until `isDone`, at most `most` times, with revocations meanwhile. Times are in ms and s. */
async function runs(isDone, most) {
  let [count, slowest, isOver] = [0, 0, false];
  const began = Date.now();
  const revoking = (async () => {
    do {
      slowest = Math.max(slowest, await revoke());
      await sleep(500);
    } while (!isOver);
  })();
  try {
    do {
      // On a busy machine the harness can lose the connection of a long run; its lease keeps other runs out meanwhile.
      await system.cron().catch((error) => say(`connection of a run lost: ${error.cause?.code}`));
      count += 1;
      assert.ok(count <= most, `${count} runs`);
    } while (!(await isDone()));
  } finally {
    isOver = true;
    await revoking;
  }
  return { count, slowest, seconds: (Date.now() - began) / 1_000 };
}

test(
  "every token is published again, the busiest first, in runs below the platform's limits",
  { timeout: 3_600_000 },
  async () => {
    const sql = readFileSync(path.join(root, "scripts/ops/derived/republish.sql"), "utf8")
      .replace(/^--.*$/gm, "")
      .split(/;\s*$/m)
      .map((text) => text.trim())
      .filter(Boolean);
    const began = Date.now();
    await system.db.batch(sql.map((text) => system.db.prepare(text)));
    say(`the rows of a republication written in ${Date.now() - began} ms`);
    await system.db
      .prepare("INSERT INTO settings (key, value, updated_at) VALUES ('reconcile', ?1, 0)")
      .bind(JSON.stringify({ started_at: Date.now(), completed_at: 1 }))
      .run();
    const before = await counts();
    const { count, slowest, seconds } = await runs(async () => {
      await sleep(500);
      return (await one("SELECT count(*) AS n FROM outbox", "n")) === 0;
    }, SIZE);
    const used = await counts();
    const writes = used.kv_put - before.kv_put;
    say(
      `published in ${seconds.toFixed(0)} s by ${count} runs of the cron and their chains, ${writes} writes; a revocation meanwhile at most ${slowest} ms`,
    );
    assert.ok(writes >= SIZE && writes < SIZE * 1.05 + 200, `${writes} writes of ${SIZE} tokens`);
    for (const n of [0, 1, SIZE - 1]) {
      const record = JSON.parse(await system.kv.get(`token:${n.toString(16).padStart(64, "0")}`));
      assert.equal(record.id, `tok_${String(n).padStart(8, "0")}`);
    }
    assert.ok(slowest < 20_000, `a revocation took ${slowest} ms`);
  },
);

test("all tokens and keys are compared within an hour of runs", { timeout: 3_600_000 }, async () => {
  await system.db.prepare("UPDATE settings SET value = '{}' WHERE key = 'reconcile'").run();
  await system.db.prepare("DELETE FROM outbox_watch").run();
  const lost = `token:${(7).toString(16).padStart(64, "0")}`;
  await system.kv.delete(lost);
  const before = await counts();
  const progress = async () =>
    JSON.parse(await one("SELECT value FROM settings WHERE key = 'reconcile'", "value"));
  const { count, slowest, seconds } = await runs(async () => (await progress()).completed_at, 59);
  const used = await counts();
  const { compared } = await progress();
  say(
    `${compared} entries compared by ${count} runs in ${seconds.toFixed(0)} s, ${used.kv_get - before.kv_get} KV operations, ${used.d1 - before.d1} D1 batches; a revocation meanwhile at most ${slowest} ms`,
  );
  assert.ok(compared >= SIZE * 2, `${compared} compared`);
  assert.equal(JSON.parse(await system.kv.get(lost)).id, "tok_00000007", "a missing entry was not found");
  assert.ok(slowest < 20_000, `a revocation took ${slowest} ms`);
});

test(
  "all credentials are sealed again in a few runs, even if some cannot be opened",
  { timeout: 3_600_000 },
  async () => {
    const origin = "https://upstream.example";
    const credential = { kind: "bearer", token: "vendor" };
    for (let from = 0; from < SIZE; from += 5_000) {
      const rows = Array.from({ length: Math.min(5_000, SIZE - from) }, (_, i) => {
        const id = `rte_${String(from + i).padStart(8, "0")}`;
        // The first hundred are sealed under a key that is gone.
        return {
          id,
          path: `/api/made-${from + i}`,
          sealed: seal(credential, id, origin, from + i < 100 ? GONE_KEY : OLD_KEY),
        };
      });
      await system.db.batch([
        system.db
          .prepare(
            `INSERT INTO routes (id, name, path, backend_url, enabled, created_at, updated_at)
        SELECT value ->> 'id', 'r', value ->> 'path', '${origin}', 0, 1, 1 FROM json_each(?1)`,
          )
          .bind(JSON.stringify(rows.map(({ sealed: _, ...row }) => row))),
        system.db
          .prepare(
            `INSERT INTO credentials (route_id, kind, origin, sealed, sealed_under, updated_by, updated_at)
        SELECT value ->> 'id', 'bearer', '${origin}', value ->> 'sealed', 'older', 'u', 1 FROM json_each(?1)`,
          )
          .bind(JSON.stringify(rows.map(({ id, sealed }) => ({ id, sealed })))),
      ]);
    }
    const left = () => one("SELECT count(*) AS n FROM credentials WHERE sealed_under = 'older'", "n");
    const { count, slowest, seconds } = await runs(
      async () => (await left()) === 0,
      Math.ceil(SIZE / 1_000) + 3,
    );
    say(`resealed by ${count} runs in ${seconds.toFixed(0)} s; a revocation meanwhile at most ${slowest} ms`);
    assert.equal(await one("SELECT count(*) AS n FROM credentials WHERE sealed_under LIKE '!%'", "n"), 100);
    assert.ok(slowest < 20_000, `a revocation took ${slowest} ms`);
  },
);
