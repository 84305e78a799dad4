// A restore revives nothing, decided row by row and at size, and loses no change. The script itself is tested in
// operating.test.mjs.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { clerkUser, webhook } from "../../local/clerk.mjs";
import { takeBack } from "../../scripts/ops/restore/giving-back.mjs";
import { forget, keepAll, keepChanges } from "../../scripts/ops/restore/kept.mjs";
import {
  credentialOf,
  mayAssign,
  narrowRoute,
  narrowToken,
  narrowerLimits,
} from "../../scripts/ops/restore/narrowed.mjs";
import { update } from "../../scripts/ops/restore/tables.mjs";
import { as, eventually, migrationsOf, startOnSockets } from "../support/harness.mjs";

const STAGE = "restore-test";
after(() => forget(STAGE));

const token = (more) => ({
  id: "t",
  name: "T",
  team_id: "lab",
  scopes: '["*"]',
  ip_allow: "[]",
  limits: null,
  expires_at: null,
  disabled_at: null,
  disabled_by: null,
  revoked_at: null,
  inject_faults: 0,
  may_derive: 0,
  version: 1,
  ...more,
});
const narrowed = (then, now) => narrowToken(token(then), token(now));

test("a token keeps the narrower value of each field, then or now, and its version grows", () => {
  const of = (field, then, now) => narrowed({ [field]: then }, { [field]: now, version: 2 }).row[field];
  assert.equal(of("expires_at", null, 5), 5);
  assert.equal(of("expires_at", 5, null), 5);
  assert.equal(of("scopes", '["*"]', '["a"]'), '["a"]');
  assert.equal(of("scopes", '["a"]', '["*"]'), '["a"]');
  assert.equal(of("ip_allow", "[]", '["10.0.0.1/32"]'), '["10.0.0.1/32"]');
  assert.equal(of("ip_allow", '["10.0.0.0/8"]', '["10.9.0.0/16"]'), '["10.9.0.0/16"]');
  assert.equal(of("ip_allow", '["2001:db8::/48"]', '["2001:db8::/32"]'), '["2001:db8::/48"]');
  assert.equal(
    of("ip_allow", '["2001:db8::/32"]', '["10.0.0.0/8"]'),
    '["10.0.0.0/8"]',
    "the current one if neither is narrower",
  );
  assert.deepEqual([of("may_derive", 1, 0), of("may_derive", 0, 1), of("may_derive", 1, 1)], [0, 0, 1]);
  assert.equal(of("disabled_by", null, "manager"), null, "not disabled");
  assert.deepEqual(
    narrowed(
      { disabled_at: 1, disabled_by: "developer" },
      { disabled_at: 2, disabled_by: "manager", version: 3 },
    ).row.disabled_by,
    "manager",
  );
  assert.equal(narrowed({ version: 2 }, { version: 7 }).row.version, 8);
  assert.equal(narrowed({}, {}), null, "nothing has changed, so nothing is written");
});

test("the lower limit stays, and a limit that a token lacks is its team's", () => {
  const limits = (...all) => JSON.parse(narrowerLimits(...all.map((one) => one && JSON.stringify(one))));
  assert.deepEqual(limits({ calls_per_day: 100 }, { calls_per_day: 5 }), { calls_per_day: 5 });
  assert.deepEqual(limits({ calls_per_day: 5, body_bytes: 9 }, null), { calls_per_day: 5, body_bytes: 9 });
  assert.equal(
    limits({ calls_per_day: 5_000 }, null, null, { calls_per_day: 1_000 }),
    null,
    "the team's thousand is in force now",
  );
  assert.deepEqual(limits({ on_limit_failure: "deny" }, { on_limit_failure: "allow" }), {
    on_limit_failure: "deny",
  });
});

test("a limit that is not a number is neither compared nor dropped, and a field that was critical at either time stays so", () => {
  const limits = (...all) => JSON.parse(narrowerLimits(...all.map((one) => one && JSON.stringify(one))));
  const hours = { hours: "9-17", critical: ["hours"] };
  assert.deepEqual(
    limits({ calls_per_day: 9 }, { calls_per_day: 5, ...hours }),
    { calls_per_day: 5, ...hours },
    "set since",
  );
  assert.deepEqual(
    limits({ calls_per_day: 9, ...hours }, { calls_per_day: 5 }),
    { calls_per_day: 5, ...hours },
    "gone since",
  );
  assert.deepEqual(
    limits({ ...hours }, { hours: "0-24", critical: ["hours"] }),
    { hours: "0-24", critical: ["hours"] },
    "an older version cannot tell which is narrower",
  );
  assert.deepEqual(limits({ a: 1, critical: ["a"] }, { a: 1, b: { c: 2 }, critical: ["b"] }), {
    a: 1,
    b: { c: 2 },
    critical: ["a", "b"],
  });
  assert.deepEqual(
    limits({ critical: "?" }, { critical: ["a"] }),
    { critical: "?" },
    "a list that cannot be read refuses everything",
  );
  assert.deepEqual(
    limits({ calls_per_fortnight: 9 }, { calls_per_fortnight: 12 }),
    { calls_per_fortnight: 9 },
    "an unknown number is a number",
  );
  assert.deepEqual(limits(null, { odd: "x" }, { odd: 1 }, null), { odd: "x" });
});

test("a route keeps a setting that has become critical since", () => {
  const route = (settings) => ({
    id: "r",
    path: "/api/r",
    enabled: 1,
    methods: "[]",
    tags: "[]",
    cors_origins: "[]",
    forward_cookies: 0,
    settings: JSON.stringify(settings),
    version: 1,
  });
  const back = (then, now) =>
    JSON.parse(narrowRoute(route(then), route(now))?.row.settings ?? JSON.stringify(then));
  const readers = { readers: "some", critical: ["readers"] };
  assert.deepEqual(back({ ai: { provider: "openai" } }, readers), { ai: { provider: "openai" }, ...readers });
  assert.deepEqual(back({ only: "x", critical: ["only"] }, readers), {
    only: "x",
    readers: "some",
    critical: ["only", "readers"],
  });
});

test("a route that was closed since stays closed, and lends no credential that it no longer lends", () => {
  const route = (settings) => ({
    id: "r",
    path: "/api/r",
    enabled: 1,
    methods: "[]",
    tags: "[]",
    cors_origins: "[]",
    forward_cookies: 0,
    settings: JSON.stringify(settings),
    version: 1,
  });
  const failover = { route_id: "b" };
  const back = (then, now) =>
    JSON.parse(narrowRoute(route(then), route(now))?.row.settings ?? JSON.stringify(then));
  assert.deepEqual(back({}, { maintenance: { message: "closed" } }), { maintenance: { message: "closed" } });
  assert.deepEqual(back({ failover }, {}), {});
  assert.deepEqual(back({ failover }, { failover: { route_id: "c" } }), {});
  assert.deepEqual(back({ failover, ai: { provider: "openai" } }, { failover }), {
    failover,
    ai: { provider: "openai" },
  });
});

test("no credential comes back if no key opens it, or if it was removed", () => {
  const route = { path: "/api/x", backend_url: "https://x.example/v1" };
  const credential = (more) => ({ origin: "https://x.example", sealed_under: "old", ...more });
  assert.deepEqual(
    credentialOf(route, credential(), credential({ sealed_under: "new" }), ["new"]).put.sealed_under,
    "new",
  );
  assert.equal(
    credentialOf(route, undefined, credential({ sealed_under: "new" }), ["new"]).put.sealed_under,
    "new",
  );
  assert.equal(credentialOf(route, credential(), null, ["new"]).drop, true);
  for (const sealed_under of ["old", "!new", ""])
    assert.equal(
      credentialOf(route, credential({ sealed_under }), credential({ origin: "https://y.example" }), ["new"])
        .disable,
      true,
      sealed_under,
    );
  assert.deepEqual(
    credentialOf(route, credential({ sealed_under: "new" }), credential({ origin: "https://y.example" }), [
      "new",
    ]),
    {},
  );
});

test("an invitation stays valid while its inviter could still give it", () => {
  const roles = (...all) => new Map(all);
  assert.ok(
    mayAssign(roles(["core-team", "ADMIN"]), "lab", "ADMIN") &&
      mayAssign(roles(["lab", "ADMIN"]), "lab", "ADMIN"),
  );
  assert.ok(mayAssign(roles(["lab", "MANAGER"]), "lab", "DEVELOPER"));
  assert.ok(
    !mayAssign(roles(["lab", "MANAGER"]), "lab", "MANAGER") &&
      !mayAssign(roles(["other", "ADMIN"]), "lab", "VIEWER") &&
      !mayAssign(roles(), "lab", "VIEWER"),
  );
});

/** A database with this many tokens, queried as D1 is and with D1's limits. */
function databaseOf(tokens) {
  const db = new DatabaseSync(":memory:");
  for (const file of migrationsOf("DB")) db.exec(readFileSync(file, "utf8"));
  db.exec(`
    INSERT INTO teams (id, name, created_at, updated_at) VALUES ('lab', 'Lab', 1, 1);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${tokens})
    INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) SELECT printf('tok_%06d', i), 'Token ' || i, 'lab', '["openai","tag:ai"]', 1, 1 FROM n;
    INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) SELECT substr(id, 5) || printf('%058d', 0), id, 'ntk_', 'aaaa', 1 FROM tokens;`);
  let queries = 0;
  const sql = async (text, params = []) => {
    queries += 1;
    assert.ok(
      text.length < 100_000 && params.every((param) => typeof param !== "string" || param.length < 2_000_000),
      "more than D1 accepts",
    );
    const statement = db.prepare(text);
    const rows = statement.all(...params);
    assert.ok(JSON.stringify(rows).length < 8_000_000);
    return rows;
  };
  return { db, sql, queries: () => queries };
}

test("an earlier time of revocation, disabling or expiry is never overwritten", async () => {
  const { db, sql } = databaseOf(3);
  db.exec(
    "UPDATE tokens SET revoked_at = 3, disabled_at = 4, expires_at = 5 WHERE id = 'tok_000001'; UPDATE token_secrets SET ends_at = 6 WHERE token_id = 'tok_000001'",
  );
  const ids = ["tok_000001", "tok_000002"];
  await update(
    sql,
    "tokens",
    ids.map((id) => ({ id, revoked_at: 9, disabled_at: null, expires_at: id === ids[0] ? 9 : 2 })),
  );
  await update(
    sql,
    "token_secrets",
    db
      .prepare("SELECT hash FROM token_secrets WHERE token_id <> 'tok_000003'")
      .all()
      .map(({ hash }) => ({ hash, ends_at: 9 })),
  );
  const found = db
    .prepare(
      "SELECT revoked_at, disabled_at, expires_at, ends_at FROM tokens JOIN token_secrets ON token_id = id ORDER BY id",
    )
    .all()
    .map((row) => Object.values(row));
  assert.deepEqual(found, [
    [3, 4, 5, 6],
    [9, null, 2, 9],
    [null, null, null, null],
  ]);
});

test(
  "a restore of many tokens revokes each again, in pieces that D1 accepts",
  { timeout: 600_000 },
  async (t) => {
    const total = Number(process.env.RESTORE_TOKENS ?? 10_000);
    const refused = total / 4;
    const { db, sql, queries } = databaseOf(total);
    db.exec(
      `UPDATE tokens SET revoked_at = 5, version = 2, updated_at = 5 WHERE id <= printf('tok_%06d', ${refused})`,
    );
    db.exec(
      `UPDATE token_secrets SET ends_at = 5 WHERE token_id > printf('tok_%06d', ${refused}) AND token_id <= printf('tok_%06d', ${2 * refused})`,
    );
    db.exec(
      `DELETE FROM token_secrets WHERE token_id > printf('tok_%06d', ${2 * refused}) AND token_id <= printf('tok_%06d', ${2 * refused + 100})`,
    );
    const started = Date.now();
    await keepAll(sql, STAGE, 0);
    await keepChanges(sql, STAGE, 0);
    const kept = Date.now();
    db.exec("UPDATE tokens SET revoked_at = NULL, version = 1; UPDATE token_secrets SET ends_at = NULL");
    db.exec(
      `INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) SELECT substr(id, 5) || printf('%058d', 0), id, 'ntk_', 'aaaa', 1 FROM tokens WHERE id > printf('tok_%06d', ${2 * refused}) AND id <= printf('tok_%06d', ${2 * refused + 100})`,
    );
    const notes = await takeBack(sql, STAGE);
    t.diagnostic(
      `${total} tokens, ${refused} revoked: kept in ${kept - started} ms, taken back in ${Date.now() - kept} ms, ${queries()} queries, ${Math.round(process.memoryUsage().rss / 1e6)} MB`,
    );
    const one = (text) => Object.values(db.prepare(text).get())[0];
    assert.equal(one("SELECT count(*) FROM tokens WHERE revoked_at = 5 AND version >= 3"), refused);
    assert.equal(one("SELECT count(*) FROM tokens WHERE revoked_at IS NULL"), total - refused);
    assert.equal(one("SELECT count(*) FROM token_secrets WHERE ends_at = 5"), refused);
    assert.equal(one("SELECT count(*) FROM token_secrets WHERE ends_at > 5"), 100, "ended and purged since");
    assert.equal(
      notes.filter((note) => /^the secret …aaaa of token tok_\d+ had ended since: it stays so$/.test(note))
        .length,
      100,
    );
  },
);

test(
  "a change during a restore is refused, not lost, and a webhook is sent again",
  { timeout: 90_000 },
  async () => {
    const secret = `whsec_${randomBytes(24).toString("base64")}`;
    const system = await startOnSockets({ apiVars: { CLERK_WEBHOOK_SECRET: secret } });
    const ask = (method, where, body) => as(system, "admin", method, where, body);
    const make = () => ask("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] });
    const message = webhook(
      secret,
      "user.created",
      clerkUser({ id: "user_late", email: "late@example.test" }),
    );
    const tell = () =>
      system.call("/api/webhooks/clerk", { method: "POST", headers: message.headers, body: message.body });
    const people = () =>
      system.db.prepare("SELECT count(*) AS n FROM users WHERE id = 'user_late'").first("n");
    const tokens = () => system.db.prepare("SELECT count(*) AS n FROM tokens").first("n");
    const reads = async () => (await system.faults("api")).counts.kv_get;
    try {
      const token = (await make()).body;
      // An isolate has just seen that there is no hold; restore waits until it looks again.
      await system.kv.put(
        "publication-hold",
        JSON.stringify({ until: Number.MAX_SAFE_INTEGER, why: "restore" }),
      );
      await eventually(async () => (await make()).status === 503, 15_000, "the refusal");
      const before = await tokens();
      for (const [method, where, body] of [
        ["POST", "/api/tokens", { name: "x", team_id: "automation", scopes: ["*"] }],
        ["DELETE", `/api/tokens/${token.id}`],
        ["PUT", "/api/teams/automation", { description: "x" }],
      ]) {
        const { status, headers, body: answer } = await ask(method, where, body);
        assert.deepEqual(
          [status, answer.code, answer.error, headers.get("retry-after")],
          [503, "restore-under-way", "Store Unavailable", "60"],
          `${method} ${where}`,
        );
      }
      assert.deepEqual(
        [(await tell()).status, await people(), await tokens()],
        [503, 0, before],
        "nothing was written that Time Travel would undo",
      );
      assert.equal((await ask("GET", `/api/tokens/${token.id}`)).status, 200, "what is there can be read");
      assert.equal(
        (await ask("POST", `/api/tokens/${token.id}/explain`, { method: "GET", path: "/api/x" })).status,
        200,
        "and asked about",
      );
      const asked = await reads();
      for (let i = 0; i < 20; i += 1)
        assert.equal((await ask("DELETE", `/api/tokens/${token.id}`)).status, 503);
      assert.ok((await reads()) - asked <= 1, "KV is read at most once in ten seconds, however many ask");
      await system.kv.delete("publication-hold");
      await eventually(async () => (await tell()).status === 200, 15_000, "the webhook's next try");
      assert.equal(await people(), 1);
      assert.equal((await ask("DELETE", `/api/tokens/${token.id}`)).status, 200);
      const idle = await reads();
      for (let i = 0; i < 5; i += 1) await ask("GET", "/api/tokens");
      assert.equal(await reads(), idle, "a request that only reads does not look for a hold");
    } finally {
      await system.stop();
    }
  },
);
