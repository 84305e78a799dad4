// The scripts that operate a stage, with the real wrangler, against a stand-in for Cloudflare's API. Their effects
// in the Workers are tested in rotation.test.mjs and operations.test.mjs.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { fingerprint, fingerprints } from "../../scripts/ops/keys/rotation.mjs";
import { newKey, readVault, vaultFile, writeVault } from "../../scripts/ops/keys/secrets.mjs";
import { startCloudflare } from "../support/cloudflare.mjs";
import { migrationsOf } from "../support/harness.mjs";

const STAGE = "drill";
const name = (text) => `token-manager-${text}-${STAGE}`;
const held = {
  TOKEN_CHECK_KEY: newKey(),
  CREDENTIAL_KEY: newKey(),
  DERIVE_KEY: newKey(),
  USAGE_LOG_KEY: newKey(),
};

let cloudflare;
let db;
let clock;
let breakOff = () => false;
const set = [];
const ledSince = {};
/** How many entries the cron publishes in one run. */
let bound = 1_000_000;
/** The work of the admin API's cron each minute: reports the keys in use, seals again, publishes unless held. */
function cron() {
  const keys = Object.fromEntries(
    Object.keys(held).map((key) => [key, fingerprints(worker("admin-api").get(key))]),
  );
  for (const [key, list] of Object.entries(keys))
    ledSince[key] = { [list.split(",")[0]]: ledSince[key]?.[list.split(",")[0]] ?? Date.now() };
  const put = db.prepare(
    "INSERT INTO settings (key, value, updated_at) VALUES (?, ?, unixepoch() * 1000) ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
  );
  put.run("keys", JSON.stringify(keys));
  put.run("keys-since", JSON.stringify(ledSince));
  const [first, ...others] = keys.CREDENTIAL_KEY.split(",");
  db.prepare(
    `UPDATE credentials SET sealed_under = iif(sealed NOT LIKE 'v1.lost.%' AND sealed_under IN ('', ?1${others.map((other) => `, '${other}'`).join("")}), ?1, '!' || ?1)`,
  ).run(first);
  const hold = JSON.parse(cloudflare.account.values.get("publication-hold") ?? "{}");
  if (!(hold.until > Date.now()))
    db.prepare("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox LIMIT ?)").run(bound);
}
const worker = (text) => cloudflare.account.workers.get(name(text)).secrets;

before(async () => {
  cloudflare = await startCloudflare({
    onSecret: (script, key, value) => void set.push([script, key, value]),
    refuseSecret: () => breakOff(),
  });
  const { account } = cloudflare;
  account.namespaces.push({ id: "0".repeat(32), title: `token-manager-tokens-${STAGE}` });
  for (const text of ["gateway", "admin-api"])
    account.workers.set(name(text), { secrets: new Map(Object.entries(held)), bindings: [] });
  const sqlite = new DatabaseSync(":memory:");
  for (const file of migrationsOf("DB")) sqlite.exec(readFileSync(file, "utf8"));
  sqlite.exec(readFileSync(path.join(root, "local/seed.sql"), "utf8"));
  account.databases.push({
    uuid: "11111111-1111-4111-8111-111111111111",
    name: `token-manager-${STAGE}`,
    sqlite,
  });
  account.databases.push({
    uuid: "22222222-2222-4222-8222-222222222222",
    name: name("usage"),
    sqlite: new DatabaseSync(":memory:"),
    restore: () => assert.fail("usage was restored"),
  });
  sqlite.exec(`
    INSERT INTO settings (key, value, updated_at) VALUES ('keys', '{}', 0);
    INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES ('tok_a', 'A', 'automation', '["*"]', 1, 1), ('tok_b', 'B', 'automation', '["*"]', 1, 1);
    UPDATE tokens SET revoked_at = 1 WHERE id = 'tok_b';
    INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) VALUES ('${"a".repeat(64)}', 'tok_a', 'ntk_', 'aaaa', 1);
    INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES ('rte_a', 'A', '/api/a', 'https://a.example', 1, 1);
    INSERT INTO credentials (route_id, kind, origin, sealed, updated_at) VALUES ('rte_a', 'bearer', 'https://a.example', 'v1.x.y', 1);`);
  db = sqlite;
  writeVault(STAGE, held);
  clock = setInterval(cron, 1_000);
});
after(async () => {
  clearInterval(clock);
  for (const file of [
    vaultFile(STAGE),
    path.join(root, `wrangler.${STAGE}.json`),
    path.join(root, `.wrangler/restore-${STAGE}`),
  ])
    rmSync(file, { recursive: true, force: true });
  await cloudflare?.close();
});

const operate = (script, args = [], env = {}) =>
  new Promise((resolve) => {
    const all = [path.join(root, `scripts/ops/${script}.mjs`), ...args, "--stage", STAGE];
    const fast = { LOOK_S: "1", SETTLE_S: "0", PROPAGATE_S: "0" };
    execFile(
      process.execPath,
      all,
      { cwd: root, env: { ...process.env, ...cloudflare.env, ...fast, ...env } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }),
    );
  });

test("CREDENTIAL_KEY goes through old, old and new, new and old, to new alone, at the gateway first", async () => {
  cron();
  const old = held.CREDENTIAL_KEY;
  const { code, text } = await operate("rotate", ["CREDENTIAL_KEY"]);
  assert.equal(code, 0, text);
  const fresh = readVault(STAGE).CREDENTIAL_KEY;
  assert.ok(fresh !== old && !text.includes(fresh) && !text.includes(old), text);
  const steps = [`${old},${fresh}`, `${fresh},${old}`, fresh].flatMap((value) =>
    ["gateway", "admin-api"].map((to) => [name(to), "CREDENTIAL_KEY", value]),
  );
  assert.deepEqual(set, steps);
  assert.equal(db.prepare("SELECT sealed_under FROM credentials").get().sealed_under, fingerprint(fresh));
  assert.equal(readVault(STAGE).TOKEN_CHECK_KEY, held.TOKEN_CHECK_KEY);
});

test("a rotation that breaks off at its last step continues with --drop-old", async () => {
  const present = readVault(STAGE).CREDENTIAL_KEY;
  let puts = 0;
  breakOff = () => (puts += 1) > 4;
  const broken = await operate("rotate", ["CREDENTIAL_KEY"]);
  breakOff = () => false;
  assert.equal(broken.code, 1, broken.text);
  const list = readVault(STAGE).CREDENTIAL_KEY.split(",");
  assert.deepEqual([list.length, list[1]], [2, present], "a key that is still in use is no longer kept");
  const { code, text } = await operate("rotate", ["CREDENTIAL_KEY", "--drop-old"]);
  assert.equal(code, 0, text);
  assert.deepEqual(
    [
      readVault(STAGE).CREDENTIAL_KEY,
      worker("gateway").get("CREDENTIAL_KEY"),
      worker("admin-api").get("CREDENTIAL_KEY"),
    ],
    [list[0], list[0], list[0]],
  );
});

test("TOKEN_CHECK_KEY keeps its old key until no live token needs it", async () => {
  const { code, text } = await operate("rotate", ["TOKEN_CHECK_KEY"]);
  assert.equal(code, 0, text);
  assert.match(text, /the old key is still accepted/);
  assert.equal(readVault(STAGE).TOKEN_CHECK_KEY.split(",")[1], held.TOKEN_CHECK_KEY);
  const early = await operate("rotate", ["TOKEN_CHECK_KEY", "--drop-old"]);
  assert.deepEqual(
    [early.code, /1 secrets of live tokens and admin API keys are from before the new key/.test(early.text)],
    [1, true],
    early.text,
  );
  db.prepare("UPDATE token_secrets SET created_at = unixepoch() * 1000 + 60000").run();
  const late = await operate("rotate", ["TOKEN_CHECK_KEY", "--drop-old"]);
  assert.equal(late.code, 0, late.text);
  assert.ok(!worker("gateway").get("TOKEN_CHECK_KEY").includes(","));
});

test("DERIVE_KEY keeps its old key until the tokens that it signed have ended", async () => {
  const { code, text } = await operate("rotate", ["DERIVE_KEY"]);
  assert.equal(code, 0, text);
  const early = await operate("rotate", ["DERIVE_KEY", "--drop-old"]);
  assert.deepEqual([early.code, /may live for 60 more minutes/.test(early.text)], [1, true], early.text);
  assert.equal(worker("gateway").get("DERIVE_KEY").split(",")[1], held.DERIVE_KEY);
  for (const key of Object.keys(ledSince.DERIVE_KEY)) ledSince.DERIVE_KEY[key] -= 3_600_000;
  cron();
  const late = await operate("rotate", ["DERIVE_KEY", "--drop-old"]);
  assert.equal(late.code, 0, late.text);
  held.DERIVE_KEY = worker("gateway").get("DERIVE_KEY");
  assert.ok(!held.DERIVE_KEY.includes(","));
});

test("a key that is not in use is refused before anything is set", async () => {
  const before = set.length;
  const wrong = await operate("rotate", ["CREDENTIAL_KEY"], { CREDENTIAL_KEY: newKey() });
  assert.deepEqual([wrong.code, /is not the one that is at work/.test(wrong.text)], [1, true], wrong.text);
  const unknown = await operate("rotate", ["CLERK_SECRET_KEY"]);
  assert.match(
    unknown.text,
    /CLERK_SECRET_KEY: known are TOKEN_CHECK_KEY, CREDENTIAL_KEY, DERIVE_KEY, USAGE_LOG_KEY/,
  );
  assert.equal(set.length, before);
});

test("the key in use stays in use: --drop-old follows the keys in use, not the vault file", async () => {
  for (const [key, vault] of [
    ["TOKEN_CHECK_KEY", "stale"],
    ["USAGE_LOG_KEY", "none"],
    ["CREDENTIAL_KEY", "stale"],
  ]) {
    const [old, lead] = [newKey(), newKey()];
    for (const text of ["gateway", "admin-api"]) worker(text).set(key, `${lead},${old}`);
    cron();
    if (vault === "stale") writeVault(STAGE, { ...held, [key]: newKey() });
    else rmSync(vaultFile(STAGE), { force: true });
    const dropped = await operate("rotate", [key, "--drop-old", "--force"], { [key]: `${lead},${old}` });
    assert.equal(dropped.code, 0, dropped.text);
    const workers = key === "USAGE_LOG_KEY" ? ["admin-api"] : ["gateway", "admin-api"];
    for (const text of workers)
      assert.equal(worker(text).get(key), lead, `${key} of ${text}, vault ${vault}`);
    assert.equal(readVault(STAGE)[key], lead, "the vault file is not in line");
    assert.equal(/is another one than what is at work/.test(dropped.text), vault === "stale", dropped.text);
    // The environment has another key now; the vault file has the right one, and the error says so.
    const again = await operate("rotate", [key], { [key]: old });
    assert.deepEqual(
      [again.code, /is not the one that is at work .*the copy in .* is: unset/.test(again.text)],
      [1, true],
      again.text,
    );
    assert.equal(worker("admin-api").get(key), lead);
    held[key] = lead;
  }
  writeVault(STAGE, held);
});

test("tokens of the new check key do not count as old because another key was rotated since", async () => {
  const [old, lead] = [newKey(), newKey()];
  for (const text of ["gateway", "admin-api"]) worker(text).set("TOKEN_CHECK_KEY", `${lead},${old}`);
  writeVault(STAGE, { ...held, TOKEN_CHECK_KEY: `${lead},${old}` });
  cron();
  db.prepare("UPDATE token_secrets SET created_at = ?").run(Date.now() + 1);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  assert.equal((await operate("rotate", ["USAGE_LOG_KEY"])).code, 0);
  const { code, text } = await operate("rotate", ["TOKEN_CHECK_KEY", "--drop-old"]);
  assert.equal(code, 0, text);
  held.TOKEN_CHECK_KEY = lead;
});

test("CREDENTIAL_KEY is rotated although a credential is lost, which is named", async () => {
  // Earlier tests put keys into use under which nothing was sealed.
  db.exec("UPDATE credentials SET sealed_under = ''");
  db.exec(`INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES ('rte_lost', 'L', '/api/lost', 'https://l.example', 1, 1);
    INSERT INTO credentials (route_id, kind, origin, sealed, updated_at) VALUES ('rte_lost', 'bearer', 'https://l.example', 'v1.lost.y', 1);`);
  const { code, text } = await operate("rotate", ["CREDENTIAL_KEY"]);
  db.exec("DELETE FROM routes WHERE id = 'rte_lost'");
  assert.equal(code, 0, text);
  assert.match(text, /no key opens the credentials of 1 routes; enter them again:\n {4}\/api\/lost/);
});

test("a wait continues while there is progress, and otherwise ends and says what is left", async () => {
  const made = db.prepare(
    "INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at) VALUES (?, 'token', 'tok_a', 1, 1)",
  );
  for (let i = 0; i < 3; i += 1) made.run(`obx_wait${i}`);
  bound = 1;
  const slow = await operate("republish", [], { STALL_S: "3" });
  assert.equal(slow.code, 0, slow.text);
  assert.match(slow.text, /\d+ entries to be written, \d+ a minute, \d+ min more/);
  bound = 0;
  const stuck = await operate("republish", [], { STALL_S: "2" });
  assert.deepEqual(
    [stuck.code, /No progress for .* still 3 entries to be written/.test(stuck.text)],
    [1, true],
    stuck.text,
  );
  bound = 1_000_000;
  const again = await operate("republish");
  assert.deepEqual(
    [again.code, /goes on with what was asked for before|asked for/.test(again.text)],
    [0, true],
    again.text,
  );
});

test("republish asks for the routes, the prices and each token that may be in KV", async () => {
  const rows = [];
  db.function("noted", (kind, id) => (rows.push(`${kind} ${id}`), 0));
  db.exec(
    "CREATE TEMP TRIGGER noting AFTER INSERT ON outbox BEGIN SELECT noted(NEW.kind, NEW.entity_id); END",
  );
  const { code, text } = await operate("republish");
  assert.equal(code, 0, text);
  assert.match(text, /KV holds what D1 says/);
  assert.deepEqual(rows, ["routes ", "prices ", "token tok_a"]);
});

test("a database of yesterday brings no revoked, disabled or rotated secret back to life", async () => {
  const at = "2026-11-22T00:00:00Z";
  const token = db.prepare(
    "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES (?, ?, 'automation', '[]', 1, 1)",
  );
  const secret = db.prepare(
    "INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) VALUES (?, ?, 'ntk_', 'aaaa', 1)",
  );
  for (const [i, id] of ["leaked", "off", "rotated", "fine"].entries()) {
    token.run(id, `It's ${id}`);
    secret.run(String(i).repeat(64), id);
  }
  db.exec(
    "UPDATE tokens SET revoked_at = 5 WHERE id = 'leaked'; UPDATE tokens SET disabled_at = 6 WHERE id = 'off'; UPDATE token_secrets SET ends_at = 7 WHERE token_id = 'rotated'",
  );
  // The state that Time Travel would leave: none of that has happened yet.
  cloudflare.account.databases[0].restore = () =>
    db.exec(
      "UPDATE tokens SET revoked_at = NULL, disabled_at = NULL WHERE id IN ('leaked', 'off'); UPDATE token_secrets SET ends_at = NULL",
    );
  const { code, text } = await operate("restore", ["--timestamp", at]);
  assert.equal(code, 0, text);
  const state = db
    .prepare(
      "SELECT t.id, revoked_at, disabled_at, ends_at FROM tokens AS t JOIN token_secrets ON token_id = t.id WHERE name GLOB 'It*' ORDER BY hash",
    )
    .all()
    .map((row) => Object.values(row));
  assert.deepEqual(state, [
    ["leaked", 5, null, null],
    ["off", null, 6, null],
    ["rotated", null, null, 7],
    ["fine", null, null, null],
  ]);
  assert.match(text, /usage, in a database of its own, stays as it is/);
  assert.match(text, /KV holds what D1 says/);
  const when = await operate("restore", ["--timestamp", "yesterday"]);
  assert.match(when.text, /--timestamp says to which moment/);
});

/** The whole database, to return to as Time Travel would. */
const tables = [
  "teams",
  "users",
  "tokens",
  "token_secrets",
  "memberships",
  "invitations",
  "invitation_teams",
  "routes",
  "credentials",
  "settings",
  "audit",
  "outbox",
];
function travelTo() {
  const kept = tables.map((table) => [table, db.prepare(`SELECT * FROM ${table}`).all()]);
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  return () => {
    db.exec("PRAGMA foreign_keys = OFF");
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    for (const [table, rows] of kept) {
      db.exec(`DELETE FROM ${table}`);
      for (const row of rows)
        db.prepare(
          `INSERT INTO ${table} (${Object.keys(row).join(", ")}) VALUES (${Object.keys(row)
            .map(() => "?")
            .join(", ")})`,
        ).run(...Object.values(row));
    }
    for (const { sql } of triggers) db.exec(sql);
    db.exec("PRAGMA foreign_keys = ON");
  };
}
const rows = (text) =>
  db
    .prepare(text)
    .all()
    .map((row) => Object.values(row));

test("a restore revives nothing, breaks no route and publishes nothing before it has finished", async () => {
  cron();
  const hour = Date.now() + 3_600_000;
  const sealed = fingerprint(worker("admin-api").get("CREDENTIAL_KEY").split(",")[0]);
  db.exec(`
    INSERT INTO teams (id, name, scope_cap, limits, created_at, updated_at) VALUES ('lab', 'Lab', NULL, '{"calls_per_day":1000}', 1, 1);
    INSERT INTO users (id, email, email_verified, created_at, updated_at) VALUES ('user_out', 'out@example.com', 1, 1, 1), ('user_low', 'low@example.com', 1, 1, 1), ('user_gone', 'gone@example.com', 1, 1, 1), ('user_stays', 's@example.com', 1, 1, 1);
    INSERT INTO memberships (user_id, team_id, role, created_at) VALUES ('user_out', 'core-team', 'ADMIN', 1), ('user_out', 'lab', 'ADMIN', 1), ('user_low', 'lab', 'ADMIN', 1), ('user_gone', 'lab', 'MANAGER', 1), ('user_stays', 'core-team', 'ADMIN', 1);
    INSERT INTO invitations (id, email, state, invited_by, created_at, expires_at) VALUES ('inv_revoked', 'a@example.com', 'pending', 'user_stays', 1, ${hour}), ('inv_orphan', 'b@example.com', 'pending', 'user_out', 1, ${hour}), ('inv_good', 'c@example.com', 'pending', 'user_stays', 1, ${hour});
    INSERT INTO invitation_teams (invitation_id, team_id, role) VALUES ('inv_revoked', 'lab', 'ADMIN'), ('inv_orphan', 'core-team', 'ADMIN'), ('inv_good', 'lab', 'VIEWER');
    INSERT INTO tokens (id, name, team_id, scopes, ip_allow, limits, expires_at, created_at, updated_at, version) VALUES
      ('tok_short', 'S', 'lab', '["*"]', '["10.0.0.0/8"]', '{"calls_per_minute":100}', NULL, 1, 1, 3), ('tok_wide', 'W', 'lab', '["openai"]', '[]', NULL, ${hour}, 1, 1, 3), ('tok_odd', 'O', 'lab', '["openai"]', '[]', NULL, NULL, 1, 1, 3);
    INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) VALUES ('${"d".repeat(64)}', 'tok_short', 'ntk_', 'dddd', 1), ('${"c".repeat(64)}', 'tok_wide', 'ntk_', 'cccc', 1);
    INSERT INTO routes (id, name, path, backend_url, tags, methods, enabled, created_at, updated_at) VALUES
      ('rte_same', 'Same', '/api/same', 'https://same.example/v1', '["ai","demo"]', '[]', 1, 1, 1), ('rte_off', 'Off', '/api/off', 'https://off.example', '[]', '[]', 1, 1, 1),
      ('rte_removed', 'Removed', '/api/removed', 'https://removed.example', '[]', '[]', 1, 1, 1), ('rte_moved', 'Moved', '/api/moved', 'https://before.example', '[]', '[]', 1, 1, 1);
    INSERT INTO credentials (route_id, kind, origin, sealed, sealed_under, updated_at) VALUES
      ('rte_same', 'bearer', 'https://same.example', 'v1.old.same', '${sealed}', 1), ('rte_moved', 'bearer', 'https://before.example', 'v1.old.moved', '${sealed}', 1);
    INSERT INTO audit (id, at, actor, action, result, entity, request_id) VALUES ('aud_before', 1, 'a', 'x', 'done', 'token', 'r');
    UPDATE settings SET value = '7' WHERE key = 'routes-version';`);
  const back = travelTo();

  // Since then: taken away, narrowed, and the key rotated.
  db.exec(`
    INSERT INTO users (id, email, created_at, updated_at) VALUES ('user_new', 'new@example.com', 1, 1);
    INSERT INTO memberships (user_id, team_id, role, created_at) VALUES ('user_new', 'lab', 'ADMIN', 1);
    DELETE FROM memberships WHERE user_id = 'user_out';
    UPDATE memberships SET role = 'VIEWER' WHERE user_id = 'user_low';
    UPDATE users SET deleted_at = 9, email_verified = 0 WHERE id = 'user_gone';
    DELETE FROM memberships WHERE user_id = 'user_gone';
    UPDATE invitations SET state = 'revoked' WHERE id = 'inv_revoked';
    UPDATE teams SET scope_cap = '["openai"]', limits = '{"calls_per_day":10}', version = 2 WHERE id = 'lab';
    UPDATE tokens SET expires_at = 50, ip_allow = '["10.1.0.0/16"]', scopes = '["openai"]', limits = '{"calls_per_minute":5}', version = 9 WHERE id = 'tok_short';
    UPDATE tokens SET expires_at = NULL, scopes = '["openai","claude"]', version = 4 WHERE id = 'tok_wide';
    UPDATE tokens SET scopes = '["POST /api/openai/chat"]', version = 4 WHERE id = 'tok_odd';
    INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES ('tok_since', 'N', 'lab', '["*"]', 1, 1);
    INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) VALUES ('${"e".repeat(64)}', 'tok_since', 'ntk_', 'eeee', 1);
    DELETE FROM token_secrets WHERE token_id = 'tok_wide';
    UPDATE routes SET tags = '["demo"]', methods = '["GET"]', version = 5 WHERE id = 'rte_same';
    UPDATE routes SET enabled = 0, version = 2 WHERE id = 'rte_off';
    UPDATE routes SET backend_url = 'https://after.example', version = 2 WHERE id = 'rte_moved';
    DELETE FROM routes WHERE id = 'rte_removed';
    UPDATE settings SET value = '12' WHERE key = 'routes-version';
    INSERT INTO audit (id, at, actor, action, result, entity, request_id) VALUES ('aud_since', ${Date.now()}, 'a', 'y', 'done', 'token', 'r');`);
  db.exec("UPDATE credentials SET origin = 'https://after.example' WHERE route_id = 'rte_moved'");
  const [old, fresh] = [worker("admin-api").get("CREDENTIAL_KEY"), newKey()];
  for (const list of [`${old},${fresh}`, `${fresh},${old}`, fresh]) {
    for (const text of ["gateway", "admin-api"]) worker(text).set("CREDENTIAL_KEY", list);
    cron();
  }
  db.exec("UPDATE credentials SET sealed = 'v1.new.same' WHERE route_id = 'rte_same'");

  // Until it has finished, nothing may be published; and it continues where it broke off.
  const published = [];
  db.function("published", (kind, id) => (published.push(`${kind} ${id}`), 0));
  let tries = 0;
  cloudflare.account.databases[0].restore = () => {
    const hold = JSON.parse(cloudflare.account.values.get("publication-hold"));
    assert.ok(hold.until > Date.now() && hold.why === "restore");
    if ((tries += 1) === 1) return false;
    back();
    db.exec(
      "INSERT INTO outbox (id, kind, created_at, next_attempt_at) VALUES ('obx_of_then', 'routes', 1, 1)",
    );
    db.exec(
      "CREATE TEMP TRIGGER publishing AFTER DELETE ON outbox BEGIN SELECT published(OLD.kind, OLD.entity_id); END",
    );
    db.exec("CREATE TRIGGER breaks BEFORE UPDATE ON routes BEGIN SELECT RAISE(ABORT, 'broken off'); END");
  };
  const at = ["--timestamp", "2026-11-22T00:00:00Z"];
  const failed = await operate("restore", at);
  assert.equal(failed.code, 1, failed.text);
  assert.equal(
    cloudflare.account.values.has("publication-hold"),
    false,
    "nothing was restored, so publication is not held",
  );
  const broken = await operate("restore", at);
  assert.deepEqual([broken.code, /broken off/.test(broken.text)], [1, true], broken.text);
  cron();
  assert.deepEqual(published, [], "published before all revocations were in force again");
  db.exec("DROP TRIGGER breaks");
  const other = await operate("restore", ["--timestamp", "2026-11-21T00:00:00Z"]);
  assert.match(other.text, /A restore to 2026-11-22T00:00:00Z has begun/);
  const { code, text } = await operate("restore", at);
  assert.equal(code, 0, text);
  assert.equal(tries, 2, "restored once");
  assert.ok(published.includes("routes ") && !cloudflare.account.values.has("publication-hold"));

  assert.deepEqual(
    rows(
      "SELECT user_id, team_id, role FROM memberships WHERE user_id IN ('user_out', 'user_low', 'user_gone', 'user_stays', 'user_new') ORDER BY 1, 2",
    ),
    [
      ["user_low", "lab", "VIEWER"],
      ["user_stays", "core-team", "ADMIN"],
    ],
  );
  assert.deepEqual(rows("SELECT deleted_at, email_verified FROM users WHERE id = 'user_gone'"), [[9, 0]]);
  assert.deepEqual(rows("SELECT count(*) FROM users WHERE id = 'restore-stand-in'"), [[0]]);
  assert.deepEqual(rows("SELECT id, state FROM invitations ORDER BY id"), [
    ["inv_good", "pending"],
    ["inv_orphan", "revoked"],
    ["inv_revoked", "revoked"],
  ]);
  assert.deepEqual(rows("SELECT scope_cap, limits FROM teams WHERE id = 'lab'"), [
    ['["openai"]', '{"calls_per_day":10}'],
  ]);
  const [short, wide, odd, since] = ["tok_short", "tok_wide", "tok_odd", "tok_since"].map((id) =>
    db.prepare("SELECT * FROM tokens WHERE id = ?").get(id),
  );
  assert.deepEqual(
    [short.expires_at, short.ip_allow, short.scopes, short.limits, short.version],
    [50, '["10.1.0.0/16"]', '["openai"]', '{"calls_per_minute":5}', 10],
  );
  assert.deepEqual(
    [wide.expires_at, wide.scopes, wide.version],
    [hour, '["openai"]', 5],
    "a field that was widened since has its earlier value",
  );
  assert.equal(odd.scopes, '["POST /api/openai/chat"]');
  assert.match(text, /token tok_odd \(O\): its scopes are the present ones/);
  assert.ok(since.revoked_at > 0, "a token made since is still active in KV");
  assert.ok(
    rows(`SELECT ends_at FROM token_secrets WHERE hash = '${"c".repeat(64)}'`)[0][0] <= Date.now(),
    "a secret that had ended works again",
  );
  assert.deepEqual(
    rows("SELECT id, enabled, tags, methods FROM routes WHERE id LIKE 'rte_%' AND id <> 'rte_a' ORDER BY id"),
    [
      ["rte_moved", 0, "[]", "[]"],
      ["rte_off", 0, "[]", "[]"],
      ["rte_removed", 0, "[]", "[]"],
      ["rte_same", 1, '["demo"]', '["GET"]'],
    ],
  );
  assert.match(
    text,
    /route \/api\/moved is disabled: its credential is sealed under a key that is not at work/,
  );
  assert.match(text, /route \/api\/removed was removed since: it comes back disabled/);
  assert.deepEqual(rows("SELECT sealed FROM credentials WHERE route_id = 'rte_same'"), [["v1.new.same"]]);
  assert.ok(rows("SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'routes-version'")[0][0] > 12);
  assert.deepEqual(rows("SELECT id FROM audit ORDER BY at"), [["aud_before"], ["aud_since"]]);
});

test("a stage that is not deployed is named, and so is a wrong option", async () => {
  const { account } = cloudflare;
  const kept = account.namespaces.splice(0);
  const nowhere = await operate("republish");
  account.namespaces.push(...kept);
  assert.deepEqual(
    [
      nowhere.code,
      /token-manager-tokens-drill is not in account \w+: is drill deployed there\?/.test(nowhere.text),
    ],
    [1, true],
    nowhere.text,
  );
  const wrong = await operate("republish", ["--everything"]);
  assert.deepEqual([wrong.code, /everything/.test(wrong.text)], [1, true]);
});
