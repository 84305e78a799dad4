// What a restore may not give back, decided row by row, and at size. The script itself is in operating.test.mjs.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { takeBack } from "../../scripts/deploy/giving-back.mjs";
import { forget, keepAll, keepChanges } from "../../scripts/deploy/kept.mjs";
import { credentialOf, mayAssign, narrowRoute, narrowToken, narrowerLimits } from "../../scripts/deploy/narrowed.mjs";
import { root } from "../../scripts/setup.mjs";

const STAGE = "restore-test";
after(() => forget(STAGE));

const token = (more) => ({ id: "t", name: "T", team_id: "lab", scopes: '["*"]', ip_allow: "[]", limits: null, expires_at: null, disabled_at: null, disabled_by: null, revoked_at: null, inject_faults: 0, version: 1, ...more });
const narrowed = (then, now) => narrowToken(token(then), token(now));

test("of a token then and now the narrower of each field stays, and its version grows", () => {
  const of = (field, then, now) => narrowed({ [field]: then }, { [field]: now, version: 2 }).row[field];
  assert.equal(of("expires_at", null, 5), 5);
  assert.equal(of("expires_at", 5, null), 5);
  assert.equal(of("scopes", '["*"]', '["a"]'), '["a"]');
  assert.equal(of("scopes", '["a"]', '["*"]'), '["a"]');
  assert.equal(of("ip_allow", "[]", '["10.0.0.1/32"]'), '["10.0.0.1/32"]');
  assert.equal(of("ip_allow", '["10.0.0.0/8"]', '["10.9.0.0/16"]'), '["10.9.0.0/16"]');
  assert.equal(of("ip_allow", '["2001:db8::/48"]', '["2001:db8::/32"]'), '["2001:db8::/48"]');
  assert.equal(of("ip_allow", '["2001:db8::/32"]', '["10.0.0.0/8"]'), '["10.0.0.0/8"]', "the present one where it cannot be told");
  assert.equal(of("disabled_by", null, "manager"), null, "not disabled");
  assert.deepEqual(narrowed({ disabled_at: 1, disabled_by: "developer" }, { disabled_at: 2, disabled_by: "manager", version: 3 }).row.disabled_by, "manager");
  assert.equal(narrowed({ version: 2 }, { version: 7 }).row.version, 8);
  assert.equal(narrowed({}, {}), null, "nothing has changed, so nothing is written");
});

test("of limits the lower stays, and what a token lacks is its team's", () => {
  const limits = (...all) => JSON.parse(narrowerLimits(...all.map((one) => one && JSON.stringify(one))));
  assert.deepEqual(limits({ calls_per_day: 100 }, { calls_per_day: 5 }), { calls_per_day: 5 });
  assert.deepEqual(limits({ calls_per_day: 5, body_bytes: 9 }, null), { calls_per_day: 5, body_bytes: 9 });
  assert.equal(limits({ calls_per_day: 5_000 }, null, null, { calls_per_day: 1_000 }), null, "the team's thousand is in force now");
  assert.deepEqual(limits({ on_limit_failure: "deny" }, { on_limit_failure: "allow" }), { on_limit_failure: "deny" });
});

test("a route that was closed since stays closed, and lends no credential that it has ceased to", () => {
  const route = (settings) => ({ id: "r", path: "/api/r", enabled: 1, methods: "[]", tags: "[]", cors_origins: "[]", forward_cookies: 0, settings: JSON.stringify(settings), version: 1 });
  const failover = { route_id: "b" };
  const back = (then, now) => JSON.parse(narrowRoute(route(then), route(now))?.row.settings ?? JSON.stringify(then));
  assert.deepEqual(back({}, { maintenance: { message: "closed" } }), { maintenance: { message: "closed" } });
  assert.deepEqual(back({ failover }, {}), {});
  assert.deepEqual(back({ failover }, { failover: { route_id: "c" } }), {});
  assert.deepEqual(back({ failover, ai: { provider: "openai" } }, { failover }), { failover, ai: { provider: "openai" } });
});

test("no credential comes back that no key opens, and none that was taken away", () => {
  const route = { path: "/api/x", backend_url: "https://x.example/v1" };
  const credential = (more) => ({ origin: "https://x.example", sealed_under: "old", ...more });
  assert.deepEqual(credentialOf(route, credential(), credential({ sealed_under: "new" }), ["new"]).put.sealed_under, "new");
  assert.equal(credentialOf(route, undefined, credential({ sealed_under: "new" }), ["new"]).put.sealed_under, "new");
  assert.equal(credentialOf(route, credential(), null, ["new"]).drop, true);
  for (const sealed_under of ["old", "!new", ""]) assert.equal(credentialOf(route, credential({ sealed_under }), credential({ origin: "https://y.example" }), ["new"]).disable, true, sealed_under);
  assert.deepEqual(credentialOf(route, credential({ sealed_under: "new" }), credential({ origin: "https://y.example" }), ["new"]), {});
});

test("an invitation stands while its inviter could still give it", () => {
  const roles = (...all) => new Map(all);
  assert.ok(mayAssign(roles(["core-team", "ADMIN"]), "lab", "ADMIN") && mayAssign(roles(["lab", "ADMIN"]), "lab", "ADMIN"));
  assert.ok(mayAssign(roles(["lab", "MANAGER"]), "lab", "DEVELOPER"));
  assert.ok(!mayAssign(roles(["lab", "MANAGER"]), "lab", "MANAGER") && !mayAssign(roles(["other", "ADMIN"]), "lab", "VIEWER") && !mayAssign(roles(), "lab", "VIEWER"));
});

/** A database with so many tokens, asked as D1 is, and with its limits. */
function databaseOf(tokens) {
  const db = new DatabaseSync(":memory:");
  const folder = path.join(root, "d1-migrations");
  for (const file of readdirSync(folder).sort()) db.exec(readFileSync(path.join(folder, file), "utf8"));
  db.exec(`
    INSERT INTO teams (id, name, created_at, updated_at) VALUES ('lab', 'Lab', 1, 1);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${tokens})
    INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) SELECT printf('tok_%06d', i), 'Token ' || i, 'lab', '["openai","tag:ai"]', 1, 1 FROM n;
    INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) SELECT substr(id, 5) || printf('%058d', 0), id, 'ntk_', 'aaaa', 1 FROM tokens;`);
  let queries = 0;
  const sql = async (text, params = []) => {
    queries += 1;
    assert.ok(text.length < 100_000 && params.every((param) => typeof param !== "string" || param.length < 2_000_000), "more than D1 takes");
    const statement = db.prepare(text);
    const rows = statement.all(...params);
    assert.ok(JSON.stringify(rows).length < 8_000_000);
    return rows;
  };
  return { db, sql, queries: () => queries };
}

test("a restore of many tokens refuses each again, in pieces that D1 takes", { timeout: 600_000 }, async (t) => {
  const total = Number(process.env.RESTORE_TOKENS ?? 10_000);
  const refused = total / 4;
  const { db, sql, queries } = databaseOf(total);
  db.exec(`UPDATE tokens SET revoked_at = 5, version = 2, updated_at = 5 WHERE id <= printf('tok_%06d', ${refused})`);
  db.exec(`UPDATE token_secrets SET ends_at = 5 WHERE token_id > printf('tok_%06d', ${refused}) AND token_id <= printf('tok_%06d', ${2 * refused})`);
  db.exec(`DELETE FROM token_secrets WHERE token_id > printf('tok_%06d', ${2 * refused}) AND token_id <= printf('tok_%06d', ${2 * refused + 100})`);
  const started = Date.now();
  await keepAll(sql, STAGE, 0);
  await keepChanges(sql, STAGE, 0);
  const kept = Date.now();
  db.exec("UPDATE tokens SET revoked_at = NULL, version = 1; UPDATE token_secrets SET ends_at = NULL");
  db.exec(`INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) SELECT substr(id, 5) || printf('%058d', 0), id, 'ntk_', 'aaaa', 1 FROM tokens WHERE id > printf('tok_%06d', ${2 * refused}) AND id <= printf('tok_%06d', ${2 * refused + 100})`);
  const notes = await takeBack(sql, STAGE);
  t.diagnostic(`${total} tokens, ${refused} revoked: kept in ${kept - started} ms, taken back in ${Date.now() - kept} ms, ${queries()} queries, ${Math.round(process.memoryUsage().rss / 1e6)} MB`);
  const one = (text) => Object.values(db.prepare(text).get())[0];
  assert.equal(one("SELECT count(*) FROM tokens WHERE revoked_at = 5 AND version >= 3"), refused);
  assert.equal(one("SELECT count(*) FROM tokens WHERE revoked_at IS NULL"), total - refused);
  assert.equal(one("SELECT count(*) FROM token_secrets WHERE ends_at = 5"), refused);
  assert.equal(one("SELECT count(*) FROM token_secrets WHERE ends_at > 5"), 100, "ended and purged since");
  assert.equal(notes.filter((note) => /^the secret …aaaa of token tok_\d+ had ended since: it stays so$/.test(note)).length, 100);
});
