// The scripts that operate a stage, with the real wrangler, against a stand-in for Cloudflare's API. What they set off
// in the Workers is in rotation.test.mjs and operations.test.mjs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { fingerprint, fingerprints } from "../../scripts/deploy/rotation.mjs";
import { newKey, readVault, vaultFile, writeVault } from "../../scripts/deploy/secrets.mjs";
import { startCloudflare } from "../support/cloudflare.mjs";

const STAGE = "drill";
const name = (text) => `token-manager-${text}-${STAGE}`;
const held = { TOKEN_CHECK_KEY: newKey(), CREDENTIAL_KEY: newKey(), USAGE_LOG_KEY: newKey() };

let cloudflare;
let db;
let clock;
let breakOff = () => false;
const set = [];
/** What the admin API's cron does each minute: says which keys are at work, seals anew, publishes. */
function cron() {
  const keys = Object.fromEntries(Object.keys(held).map((key) => [key, fingerprints(worker("admin-api").get(key))]));
  db.prepare("UPDATE settings SET value = ?, updated_at = unixepoch() * 1000 WHERE key = 'keys'").run(JSON.stringify(keys));
  db.prepare("UPDATE credentials SET sealed_under = ?").run(fingerprint(worker("admin-api").get("CREDENTIAL_KEY").split(",")[0]));
  db.prepare("DELETE FROM outbox").run();
}
const worker = (text) => cloudflare.account.workers.get(name(text)).secrets;

before(async () => {
  cloudflare = await startCloudflare({ onSecret: (script, key, value) => set.push([script, key, value]), refuseSecret: () => breakOff() });
  const { account } = cloudflare;
  account.namespaces.push({ id: "0".repeat(32), title: `token-manager-tokens-${STAGE}` });
  for (const text of ["gateway", "admin-api"]) account.workers.set(name(text), { secrets: new Map(Object.entries(held)), bindings: [] });
  const sqlite = new DatabaseSync(":memory:");
  const folder = path.join(root, "d1-migrations");
  for (const file of readdirSync(folder).sort()) sqlite.exec(readFileSync(path.join(folder, file), "utf8"));
  sqlite.exec(readFileSync(path.join(root, "local/seed.sql"), "utf8"));
  account.databases.push({ uuid: "11111111-1111-4111-8111-111111111111", name: `token-manager-${STAGE}`, sqlite });
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
  for (const file of [vaultFile(STAGE), path.join(root, `wrangler.${STAGE}.json`), path.join(root, `.wrangler/refused-${STAGE}.json`)]) rmSync(file, { force: true });
  await cloudflare?.close();
});

const operate = (script, args = [], env = {}) =>
  new Promise((resolve) => {
    const all = [path.join(root, `scripts/${script}.mjs`), ...args, "--stage", STAGE];
    const fast = { LOOK_S: "1", SETTLE_S: "0", PROPAGATE_S: "0" };
    execFile(process.execPath, all, { cwd: root, env: { ...process.env, ...cloudflare.env, ...fast, ...env } }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }));
  });

test("CREDENTIAL_KEY goes through old, old and new, new and old, to new alone, at the gateway first", async () => {
  cron();
  const old = held.CREDENTIAL_KEY;
  const { code, text } = await operate("rotate", ["CREDENTIAL_KEY"]);
  assert.equal(code, 0, text);
  const fresh = readVault(STAGE).CREDENTIAL_KEY;
  assert.ok(fresh !== old && !text.includes(fresh) && !text.includes(old), text);
  const steps = [`${old},${fresh}`, `${fresh},${old}`, fresh].flatMap((value) => ["gateway", "admin-api"].map((to) => [name(to), "CREDENTIAL_KEY", value]));
  assert.deepEqual(set, steps);
  assert.equal(db.prepare("SELECT sealed_under FROM credentials").get().sealed_under, fingerprint(fresh));
  assert.equal(readVault(STAGE).TOKEN_CHECK_KEY, held.TOKEN_CHECK_KEY);
});

test("a rotation that breaks off at its last step goes on with --drop-old", async () => {
  const present = readVault(STAGE).CREDENTIAL_KEY;
  let puts = 0;
  breakOff = () => (puts += 1) > 4;
  const broken = await operate("rotate", ["CREDENTIAL_KEY"]);
  breakOff = () => false;
  assert.equal(broken.code, 1, broken.text);
  const list = readVault(STAGE).CREDENTIAL_KEY.split(",");
  assert.deepEqual([list.length, list[1]], [2, present], "a key that is still at work is not held any more");
  const { code, text } = await operate("rotate", ["CREDENTIAL_KEY", "--drop-old"]);
  assert.equal(code, 0, text);
  assert.deepEqual([readVault(STAGE).CREDENTIAL_KEY, worker("gateway").get("CREDENTIAL_KEY"), worker("admin-api").get("CREDENTIAL_KEY")], [list[0], list[0], list[0]]);
});

test("TOKEN_CHECK_KEY keeps its old key until no live token needs it", async () => {
  const { code, text } = await operate("rotate", ["TOKEN_CHECK_KEY"]);
  assert.equal(code, 0, text);
  assert.match(text, /the old key is still accepted/);
  assert.equal(readVault(STAGE).TOKEN_CHECK_KEY.split(",")[1], held.TOKEN_CHECK_KEY);
  const early = await operate("rotate", ["TOKEN_CHECK_KEY", "--drop-old"]);
  assert.deepEqual([early.code, /1 secrets of live tokens are from before the new key/.test(early.text)], [1, true], early.text);
  db.prepare("UPDATE token_secrets SET created_at = unixepoch() * 1000 + 60000").run();
  const late = await operate("rotate", ["TOKEN_CHECK_KEY", "--drop-old"]);
  assert.equal(late.code, 0, late.text);
  assert.ok(!worker("gateway").get("TOKEN_CHECK_KEY").includes(","));
});

test("a key that is not the one at work is refused before anything is set", async () => {
  const before = set.length;
  const wrong = await operate("rotate", ["CREDENTIAL_KEY"], { CREDENTIAL_KEY: newKey() });
  assert.deepEqual([wrong.code, /is not the one that is at work/.test(wrong.text)], [1, true], wrong.text);
  const unknown = await operate("rotate", ["CLERK_SECRET_KEY"]);
  assert.match(unknown.text, /CLERK_SECRET_KEY: known are TOKEN_CHECK_KEY, CREDENTIAL_KEY, USAGE_LOG_KEY/);
  assert.equal(set.length, before);
});

test("republish asks for the routes, the prices and each token that may be in KV", async () => {
  const rows = [];
  db.function("noted", (kind, id) => (rows.push(`${kind} ${id}`), 0));
  db.exec("CREATE TEMP TRIGGER noting AFTER INSERT ON outbox BEGIN SELECT noted(NEW.kind, NEW.entity_id); END");
  const { code, text } = await operate("republish");
  assert.equal(code, 0, text);
  assert.match(text, /KV holds what D1 says/);
  assert.deepEqual(rows, ["routes ", "prices ", "token tok_a"]);
});

test("rebuild-rollups makes each day anew and says how many calls it has", async () => {
  db.exec(`INSERT INTO usage_events (id, at, token_id, team_id, route_id, path, method, status, outcome, latency_ms, gateway_ms, request_id)
    SELECT 'e' || value, unixepoch() * 1000 - value * 60000, 'tok_a', 'automation', 'rte_a', '/x', 'GET', 200, 'ok', value, 0, 'r' FROM generate_series(1, 40)`.replace("generate_series(1, 40)", "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 40) SELECT value FROM n)"));
  const { code, text } = await operate("rebuild-rollups");
  assert.equal(code, 0, text);
  const calls = db.prepare("SELECT sum(calls) AS n FROM usage_rollups WHERE dimension = 'all' AND granularity = 'week'").get().n;
  assert.equal(calls, 40);
  assert.equal([...text.matchAll(/(\d+) calls/g)].reduce((sum, [, n]) => sum + Number(n), 0), 40, text);
});

test("a database of yesterday brings no revoked, disabled or rotated secret back to life", async () => {
  const at = "2026-11-22T00:00:00Z";
  const token = db.prepare("INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES (?, ?, 'automation', '[]', 1, 1)");
  const secret = db.prepare("INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at) VALUES (?, ?, 'ntk_', 'aaaa', 1)");
  for (const [i, id] of ["leaked", "off", "rotated", "fine"].entries()) {
    token.run(id, `It's ${id}`);
    secret.run(String(i).repeat(64), id);
  }
  db.exec("UPDATE tokens SET revoked_at = 5 WHERE id = 'leaked'; UPDATE tokens SET disabled_at = 6 WHERE id = 'off'; UPDATE token_secrets SET ends_at = 7 WHERE token_id = 'rotated'");
  // As Time Travel would leave it: all of that had not happened yet.
  cloudflare.account.databases[0].restore = () => db.exec("UPDATE tokens SET revoked_at = NULL, disabled_at = NULL WHERE id IN ('leaked', 'off'); UPDATE token_secrets SET ends_at = NULL");
  const { code, text } = await operate("restore", ["--timestamp", at]);
  assert.equal(code, 0, text);
  const state = db.prepare("SELECT t.id, revoked_at, disabled_at, ends_at FROM tokens AS t JOIN token_secrets ON token_id = t.id WHERE name GLOB 'It*' ORDER BY hash").all().map((row) => Object.values(row));
  assert.deepEqual(state, [["leaked", 5, null, null], ["off", null, 6, null], ["rotated", null, null, 7], ["fine", null, null, null]]);
  assert.match(text, /KV holds what D1 says/);
  const when = await operate("restore", ["--timestamp", "yesterday"]);
  assert.match(when.text, /--timestamp says to which moment/);
});

test("a stage that is not deployed is named, and so is a wrong option", async () => {
  const { account } = cloudflare;
  const kept = account.namespaces.splice(0);
  const nowhere = await operate("republish");
  account.namespaces.push(...kept);
  assert.deepEqual([nowhere.code, /token-manager-tokens-drill is not in account Acme: is drill deployed there\?/.test(nowhere.text)], [1, true], nowhere.text);
  const wrong = await operate("republish", ["--everything"]);
  assert.deepEqual([wrong.code, /everything/.test(wrong.text)], [1, true]);
});
