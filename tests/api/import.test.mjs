// The earlier system's data, taken over: the same tokens work at the gateway, and doing it again changes
// nothing. The dump is made up, with tokens minted here.
import assert from "node:assert/strict";
import { spawnSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { as, eventually, startOnSockets } from "../support/harness.mjs";
import { mintLegacyToken, sha256 } from "../support/tokens.mjs";

const tokens = { marketing: mintLegacyToken(), narrow: mintLegacyToken(), bare: mintLegacyToken(), late: mintLegacyToken(), dead: mintLegacyToken() };
const key = (name) => `token:${sha256(tokens[name])}`;
let system;
let folder;
let kv;
before(async () => {
  system = await startOnSockets();
  folder = mkdtempSync(path.join(tmpdir(), "dump-"));
  const echo = `${system.upstream.url}/echo`;
  kv = {
    [key("marketing")]: JSON.stringify({ name: "Marketing n8n", department: "Marketing", scopes: ["*"], created_at: "2025-11-01T00:00:00", expires_at: null }),
    [key("narrow")]: JSON.stringify({ name: "Narrow", team_id: "automation", scopes: ["tag:ai"], created_at: "2025-11-01T00:00:00", expires_at: "2099-01-01T00:00:00" }),
    [key("bare")]: JSON.stringify({ name: "Bare", team_id: "automation", created_at: "2025-11-01T00:00:00" }),
    [key("late")]: JSON.stringify({ name: "Late", team_id: "automation", scopes: ["*"], expires_at: "2025-12-01T00:00:00" }),
    "token:oops": "{}",
    routes: JSON.stringify({
      "/api/vendor": { url: echo, tags: ["ai"], auth: { type: "bearer", config: { token_ref: "VENDOR_KEY" } } },
      "/api/lost": { url: echo, auth: { type: "bearer", config: { token_ref: "LOST_KEY" } } },
      "/api/open": echo,
    }),
    "secret:VENDOR_KEY": JSON.stringify({ value: "vendor-secret" }),
  };
  writeFileSync(path.join(folder, "kv.json"), JSON.stringify(Object.entries(kv).map(([name, value]) => ({ key: name, value }))));
  writeFileSync(path.join(folder, "teams.csv"), "id,name,description\nMarketing,Marketing,\"Ads, mostly\"\n");
  writeFileSync(path.join(folder, "tokens.json"), JSON.stringify([{ token_hash: sha256(tokens.dead), name: "Dead", team_id: "automation", scopes: ["*"] }]));
  const at = (days) => new Date(Date.now() - days * 86_400_000).toISOString().replace("Z", "");
  const calls = Array.from({ length: 2_500 }, (_, i) => `${sha256(tokens.marketing)},/api/vendor,${at(i % 60)},${i % 10 ? 200 : 502},${i % 300},10.0.${i >> 8}.${i & 255},"n8n, ""1.0""",POST,`);
  writeFileSync(path.join(folder, "token_usage_logs.csv"), ["token_hash,route,timestamp,response_status,response_time_ms,ip_address,user_agent,request_method,error_message", ...calls, ",,,,,,,,"].join("\n"));
  // As it was before: the gateway serves what the earlier system wrote.
  for (const [name, value] of Object.entries(kv)) await system.kv.put(name, value);
});
after(async () => {
  await system?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const run = (...more) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(root, "scripts/import.mjs"), folder, "--api", system.urls.api, ...more], { env: { ...process.env, TOKEN_MANAGER_SESSION: system.jwt() } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("close", (code) => resolve({ code, output }));
  });
const call = async (token, where = "/api/vendor") => {
  const response = await system.gateway(where, { headers: { "x-api-key": token } });
  const text = await response.text();
  return [response.status, text];
};
const rows = async (table) => system.db.prepare(`SELECT count(*) AS n FROM ${table}`).first("n");

test("a check shows what would happen and changes nothing", async () => {
  const before = await Promise.all(["tokens", "routes", "teams", "usage_events", "audit"].map(rows));
  const { code, output } = await run();
  assert.equal(code, 0, output);
  assert.match(output, /created  team   marketing: "Marketing" becomes marketing/);
  assert.match(output, /created  token  Bare \([0-9a-f]{8}…\): has no scopes, so it grants nothing/);
  assert.match(output, /created  route  \/api\/lost: the dump lacks the secret LOST_KEY/);
  assert.match(output, /refused  token  oops: its hash is not/);
  assert.match(output, /refused  calls  token_usage_logs: 1 rows lack/);
  assert.match(output, /created  calls  token_usage_logs: 2000 calls; 2000 of tokens that are not here yet/);
  assert.match(output, /would be: /);
  assert.deepEqual(await Promise.all(["tokens", "routes", "teams", "usage_events", "audit"].map(rows)), before);
});

test("an import without the route table leaves the one in KV alone", async () => {
  const token = mintLegacyToken();
  const entry = { value: JSON.stringify({ name: "Early", team_id: "automation", scopes: ["*"] }) };
  const { status, body } = await as(system, "admin", "POST", "/api/import", { mode: "apply", kv: { [`token:${sha256(token)}`]: entry } });
  assert.deepEqual([status, body.items.map((i) => `${i.kind} ${i.outcome}`)], [200, ["team exists", "token created"]], JSON.stringify(body));
  await system.cron();
  assert.equal(await system.kv.get("routes"), kv.routes);
  assert.equal((await call(token, "/api/open"))[0], 200);
});

test("a token whose team was deleted here is refused, and the others are taken", async () => {
  assert.equal((await as(system, "admin", "POST", "/api/teams", { id: "closed", name: "Closed" })).status, 201);
  assert.equal((await as(system, "admin", "DELETE", "/api/teams/closed")).status, 200);
  const entries = ["closed", "automation"].map((team_id) => [`token:${sha256(mintLegacyToken())}`, { name: `Of ${team_id}`, team_id, scopes: ["*"] }]);
  const { status, body } = await as(system, "admin", "POST", "/api/import", { mode: "apply", kv: Object.fromEntries(entries) });
  assert.equal(status, 200, JSON.stringify(body));
  const outcomes = Object.fromEntries(body.items.map((i) => [i.subject.split(" (")[0], i.outcome]));
  assert.deepEqual(outcomes, { automation: "exists", closed: "refused", "Of automation": "created", "Of closed": "refused" });
});

test("applied, the same tokens work, with what they may and no more", async () => {
  const { code, output } = await run("--apply");
  assert.equal(code, 0, output);
  await eventually(async () => JSON.parse(await system.kv.get("routes"))?.v === 2, 10_000, "the new table");
  await eventually(async () => JSON.parse(await system.kv.get(key("marketing")))?.v === 2, 10_000, "the new entries");
  await new Promise((resolve) => setTimeout(resolve, 11_000)); // the gateway's cache
  const [status, text] = await call(tokens.marketing);
  assert.equal(status, 200);
  assert.match(text, /Bearer vendor-secret/);
  assert.equal((await call(tokens.marketing, "/api/open"))[0], 200);
  assert.equal((await call(tokens.marketing, "/api/lost"))[0], 404, "not bare: disabled");
  assert.deepEqual([(await call(tokens.narrow))[0], (await call(tokens.narrow, "/api/open"))[0]], [200, 403]);
  assert.equal((await call(tokens.bare))[0], 403);
  assert.equal((await call(tokens.late))[0], 401);
  assert.equal((await call(tokens.dead))[0], 401, "what was only in the table did not work");
  const own = await (await system.call("/api/usage/me", { headers: { "x-api-key": tokens.marketing } })).json();
  assert.ok(own.total.calls >= 2_500 && own.total.upstream_errors === 250, JSON.stringify(own.total));
  const from = new Date(Date.now() - 70 * 86_400_000).toISOString();
  const route = await as(system, "admin", "GET", `/api/usage/route?route_path=/api/vendor&from=${from}`);
  assert.ok(route.body.total.calls >= 2_500, "the calls are the route's, too");
  const list = (await as(system, "admin", "GET", "/api/tokens?team_id=marketing")).body.items;
  assert.deepEqual([list[0].name, list[0].created_at], ["Marketing n8n", Date.UTC(2025, 10, 1)]);
  const dump = JSON.stringify((await system.db.prepare("SELECT * FROM credentials").all()).results);
  assert.ok(!dump.includes("vendor-secret"), "sealed");
});

test("done again it changes nothing, also after the raw calls are gone", async () => {
  const state = async () => JSON.stringify(await Promise.all(["tokens", "token_secrets", "routes", "credentials", "teams", "usage_rollups"].map(async (table) => (await system.db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2, 3, 4`).all()).results)));
  const calls = () => system.db.prepare("SELECT calls FROM usage_rollups WHERE dimension = 'token' AND granularity = 'week' ORDER BY bucket_start LIMIT 1").first("calls");
  // The calls of the test before are on their way through the queue for a second or two.
  let last;
  await eventually(async () => {
    const previous = last;
    last = await state();
    return last === previous || void (await new Promise((resolve) => setTimeout(resolve, 2_500)));
  }, 30_000, "quiet");
  await system.db.prepare("DELETE FROM usage_events").run();
  const [before, counted] = [await state(), await calls()];
  const { code, output } = await run("--apply");
  assert.equal(code, 0, output);
  assert.match(output, /done: 0 created, /);
  assert.equal(await calls(), counted);
  assert.equal(await state(), before);
});

test("only the platform admin imports, and bad input is named", async () => {
  assert.equal((await as(system, "manager", "POST", "/api/import", { mode: "check" })).status, 403);
  const bad = await as(system, "admin", "POST", "/api/import", { mode: "soon" });
  assert.deepEqual([bad.status, bad.body.details[0].field], [422, "mode"]);
  const many = Object.fromEntries(Array.from({ length: 2_001 }, (_, i) => [`token:${sha256(String(i))}`, { name: "n" }]));
  assert.deepEqual((await as(system, "admin", "POST", "/api/import", { mode: "check", kv: many })).body.details[0].field, "kv");
  const usage = spawnSync(process.execPath, [path.join(root, "scripts/import.mjs")], { encoding: "utf8" });
  assert.equal(usage.status, 2);
});
