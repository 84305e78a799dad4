// Admin API keys: made by a person, bounded by what that person may do when they are used.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startOnSockets } from "../support/harness.mjs";
import { putKey, sha256 } from "../support/tokens.mjs";

let system;
before(async () => {
  system = await startOnSockets();
  await as(system, "admin", "GET", "/api/me");
});
after(() => system?.stop());

/** Calls the API with a key. */
async function by(key, method, where, body, headers = {}) {
  const response = await system.call(where, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

const role = (team_id, role) => ({ team_id, role });
async function make(user, request) {
  const made = await as(system, user, "POST", "/api/keys", { name: "test", ...request });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}
const audit = async (where) =>
  (await as(system, "admin", "GET", `/api/dashboard/audit-logs?${where}`)).body.items;
const newToken = (name = "t") => ({ name, team_id: "automation", scopes: ["*"] });

test("a key is shown once and stored as its hash; it ends after 90 days unless its maker says otherwise", async () => {
  const made = await make("developer", { roles: [role("automation", "DEVELOPER")] });
  assert.match(made.key, /^nak_[0-9A-Za-z]{49}$/);
  assert.equal(Math.round((made.expires_at - made.created_at) / 86_400_000), 90);
  for (const table of ["api_keys", "api_key_secrets", "audit"]) {
    const { results } = await system.db.prepare(`SELECT * FROM ${table}`).all();
    assert.ok(!JSON.stringify(results).includes(made.key.slice(12)), table);
  }
  const { hash } = await system.db
    .prepare("SELECT hash FROM api_key_secrets WHERE key_id = ?")
    .bind(made.id)
    .first();
  assert.equal(hash, sha256(made.key));
  const listed = (await as(system, "developer", "GET", "/api/keys")).body.items.find((k) => k.id === made.id);
  assert.deepEqual(
    [listed.key, listed.state, listed.hint.start],
    [undefined, "active", made.key.slice(0, 12)],
  );
  assert.deepEqual(listed.roles, [{ ...role("automation", "DEVELOPER"), effective: "DEVELOPER" }]);
  const [entry] = await audit(`entity=key&entity_id=${made.id}`);
  assert.deepEqual(
    [entry.action, entry.actor, entry.after.hint.end],
    ["create-key", "user_developer", made.key.slice(-4)],
  );
});

test("a key is refused with the field that is wrong with it", async () => {
  const fields = async (user, request) => {
    const { status, body } = await as(system, user, "POST", "/api/keys", { name: "x", ...request });
    return [status, ...(body.details ?? []).map(({ field }) => field)];
  };
  const roles = [role("automation", "DEVELOPER")];
  assert.deepEqual(await fields("developer", { roles: [role("automation", "MANAGER")] }), [
    422,
    "roles.0.role",
  ]);
  assert.deepEqual(await fields("developer", { roles: [role("no-such", "VIEWER")] }), [
    422,
    "roles.0.team_id",
  ]);
  assert.deepEqual(await fields("developer", { roles: [] }), [422, "roles"]);
  assert.deepEqual(await fields("developer", { roles, expires_days: 366 }), [422, "expires_days"]);
  assert.deepEqual(await fields("developer", { roles, ip_allow: ["10.0.0.0/8", "x"] }), [422, "ip_allow.1"]);
  assert.deepEqual(await fields("developer", { roles, may: ["everything"] }), [422, "may.0"]);
});

test("a key acts for its maker, and the audit log names both", async () => {
  const { key, id } = await make("manager", { name: "Nightly", roles: [role("automation", "DEVELOPER")] });
  const me = await by(key, "GET", "/api/me");
  assert.deepEqual(
    [me.status, me.body.id, me.body.key_id, me.body.memberships.map(({ team_id, role }) => [team_id, role])],
    [200, "user_manager", id, [["automation", "DEVELOPER"]]],
  );
  const token = await by(key, "POST", "/api/tokens", newToken());
  assert.deepEqual([token.status, token.body.created_by], [201, "user_manager"]);
  const refused = await by(key, "POST", "/api/routes", {
    name: "x",
    path: "/api/x",
    backend_url: "https://x.example",
  });
  assert.equal(refused.status, 403);
  const entries = await eventually(async () => {
    const found = await audit(`actor=${id}`);
    return found.length === 2 && found;
  });
  const name = entries[0].actor_name;
  assert.match(name, /^Nightly · \S/);
  assert.deepEqual(entries.map(({ action, result }) => `${action} ${result}`).sort(), [
    "create-route refused",
    "create-token done",
  ]);
  const file = await system.call(`/api/dashboard/audit-logs/export?actor=${id}`, {
    headers: { authorization: `Bearer ${system.jwt("admin")}` },
  });
  assert.ok((await file.text()).includes(`,${id},${name},create-token,done,`));
});

test("a key makes no key, rotates none and ends none, whatever it may", async () => {
  const may = ["set-credential", "assign-senior"];
  const { key, id } = await make("admin", { roles: [role("core-team", "ADMIN")], may });
  const roles = [role("automation", "VIEWER")];
  assert.equal((await by(key, "POST", "/api/keys", { name: "x", roles })).status, 403);
  assert.equal((await by(key, "POST", `/api/keys/${id}/rotate`)).status, 403);
  assert.equal((await by(key, "DELETE", `/api/keys/${id}`)).status, 403);
  assert.equal((await by(key, "GET", `/api/keys/${id}`)).status, 200);
});

test("credentials and roles above DEVELOPER need a key that was given them by name", async () => {
  const admin = [role("core-team", "ADMIN")];
  const plain = (await make("admin", { roles: admin })).key;
  const named = (await make("admin", { roles: admin, may: ["set-credential", "assign-senior"] })).key;
  const route = (path) => ({ name: "r", path, backend_url: `${system.upstream.url}/echo` });
  const credential = { kind: "bearer", token: "vendor" };
  const made = await by(plain, "POST", "/api/routes", route("/api/k1"));
  assert.equal(made.status, 201);
  const set = (key) => by(key, "PUT", `/api/routes/${made.body.id}/credential`, credential);
  assert.deepEqual([(await set(plain)).status, (await set(named)).status], [403, 200]);
  const withOne = (key, path) => by(key, "POST", "/api/routes", { ...route(path), credential });
  assert.deepEqual(
    [(await withOne(plain, "/api/k2")).status, (await withOne(named, "/api/k2")).status],
    [403, 201],
  );
  // Another origin would drop the credential.
  const moved = { backend_url: "https://elsewhere.example/" };
  assert.equal((await by(plain, "PUT", `/api/routes/${made.body.id}`, moved)).status, 403);
  const assign = (key, role) =>
    by(key, "PUT", "/api/users/user_viewer/team-role", { team_ids: ["automation"], role });
  assert.deepEqual(
    [(await assign(plain, "ADMIN")).status, (await assign(plain, "DEVELOPER")).status],
    [403, 200],
  );
  assert.equal((await assign(named, "MANAGER")).status, 200);
  assert.equal((await assign(plain, "VIEWER")).status, 403, "they are MANAGER now");
  assert.equal((await assign(named, "VIEWER")).status, 200);
});

test("a maker who is demoted or removed has taken the key with them at its next call", async () => {
  const { db } = system;
  await db
    .prepare(
      "INSERT INTO users (id, email, created_at, updated_at) VALUES ('user_leaver', 'l@example.test', 1, 1)",
    )
    .run();
  await as(system, "admin", "PUT", "/api/users/user_leaver/team-role", {
    team_ids: ["automation"],
    role: "MANAGER",
  });
  await db
    .prepare("INSERT OR IGNORE INTO memberships VALUES ('user_leaver', 'automation', 'MANAGER', 1)")
    .run();
  const { key, id } = await make("leaver", { roles: [role("automation", "MANAGER")] });
  const token = (await by(key, "POST", "/api/tokens", newToken("old"))).body.id;
  const rotate = async () => (await by(key, "POST", `/api/tokens/${token}/rotate`)).status;
  const effective = async () => (await as(system, "admin", "GET", `/api/keys/${id}`)).body.roles[0].effective;
  assert.deepEqual([await rotate(), await effective()], [201, "MANAGER"]);
  const demoted = await as(system, "admin", "PUT", "/api/users/user_leaver/team-role", {
    team_ids: ["automation"],
    role: "VIEWER",
  });
  assert.equal(demoted.status, 200);
  assert.deepEqual([await rotate(), await effective()], [403, "VIEWER"]);
  assert.equal((await by(key, "GET", `/api/tokens/${token}`)).status, 200);
  await as(system, "admin", "DELETE", "/api/users/user_leaver/team-membership/automation");
  assert.deepEqual([await rotate(), await effective()], [404, null]);
  // As Clerk's webhook writes it.
  await db.prepare("UPDATE users SET deleted_at = 2 WHERE id = 'user_leaver'").run();
  assert.equal((await by(key, "GET", "/api/me")).status, 401);
  assert.equal((await as(system, "admin", "GET", `/api/keys/${id}`)).body.state, "maker-gone");
});

test("an end, a revocation and an allow-list refuse a key at once", async () => {
  const made = await make("developer", { roles: [role("automation", "VIEWER")], ip_allow: ["203.0.113.7"] });
  const from = async (ip) => {
    const { status, body } = await by(made.key, "GET", "/api/tokens", undefined, { "cf-connecting-ip": ip });
    return status === 200 ? 200 : `${status} ${body.code}`;
  };
  assert.deepEqual([await from("203.0.113.7"), await from("203.0.113.8")], [200, "403 ip-not-allowed"]);
  await system.db.prepare("UPDATE api_keys SET expires_at = 1 WHERE id = ?").bind(made.id).run();
  assert.equal(await from("203.0.113.7"), "401 key-expired");
  assert.equal((await as(system, "developer", "GET", `/api/keys/${made.id}`)).body.state, "expired");
  const renewed = await as(system, "developer", "POST", `/api/keys/${made.id}/rotate`, { expires_days: 1 });
  assert.deepEqual([renewed.status, renewed.body.state], [201, "active"]);
  assert.equal(await from("203.0.113.7"), 200, "the grace of the earlier secret");
  const revoked = await as(system, "developer", "DELETE", `/api/keys/${made.id}`);
  assert.deepEqual([revoked.status, revoked.body.state], [200, "revoked"]);
  assert.equal(await from("203.0.113.7"), "401 unauthenticated");
  const again = await as(system, "developer", "POST", `/api/keys/${made.id}/rotate`);
  assert.deepEqual([again.status, again.body.details[0].code], [409, "key-revoked"]);
});

test("a rotation leaves the earlier secret its grace; a stale If-Match changes nothing", async () => {
  const made = await make("developer", { roles: [role("automation", "VIEWER")] });
  const works = async (key) => (await by(key, "GET", "/api/me")).status === 200;
  const rotate = (body, headers) =>
    as(system, "developer", "POST", `/api/keys/${made.id}/rotate`, body, headers);
  const second = (await rotate({ grace_hours: 1 })).body.key;
  assert.deepEqual([await works(made.key), await works(second)], [true, true]);
  const third = (await rotate({ grace_hours: 0 })).body.key;
  assert.deepEqual([await works(made.key), await works(second), await works(third)], [false, false, true]);
  assert.equal((await rotate({}, { "if-match": '"1"' })).status, 412);
  assert.equal((await rotate({ grace_hours: 721 })).status, 422);
  for (let i = 0; i < 9; i++) assert.equal((await rotate({})).status, 201);
  assert.equal((await rotate({})).status, 409, "ten work already");
  assert.equal((await rotate({ grace_hours: 0 })).status, 201);
  const kept = await system.db
    .prepare("SELECT count(*) AS n FROM api_key_secrets WHERE key_id = ?")
    .bind(made.id)
    .first("n");
  assert.ok(kept <= 2, `${kept} secrets are kept`);
});

test("people manage their own keys; core-team's MANAGER sees and ends all, and takes none over", async () => {
  const made = await make("developer", { roles: [role("automation", "VIEWER")] });
  await system.db.batch([
    system.db.prepare("INSERT INTO users (id, created_at, updated_at) VALUES ('user_chief', 1, 1)"),
    system.db.prepare("INSERT INTO memberships VALUES ('user_chief', 'core-team', 'MANAGER', 1)"),
  ]);
  const sees = async (user) =>
    (await as(system, user, "GET", "/api/keys")).body.items.some(({ id }) => id === made.id);
  assert.deepEqual(
    [await sees("developer"), await sees("chief"), await sees("admin"), await sees("manager")],
    [true, true, true, false],
  );
  const status = async (user, method, where) => (await as(system, user, method, where)).status;
  const at = `/api/keys/${made.id}`;
  assert.equal(await status("manager", "GET", at), 404, "manager of the same team");
  assert.equal(await status("manager", "DELETE", at), 404);
  for (const user of ["chief", "admin"])
    assert.equal(await status(user, "POST", `${at}/rotate`), 403, "its secret acts for its maker");
  assert.equal(await status("chief", "DELETE", at), 200);
  assert.equal(await status("chief", "DELETE", at), 200, "a repeat changes nothing");
});

test("a forged key costs no query", async () => {
  const key = await putKey(system, "user_developer", [["automation", "VIEWER"]]);
  const forged = key.slice(0, -6) + (key.endsWith("000000") ? "000001" : "000000");
  await system.db.prepare("ALTER TABLE api_key_secrets RENAME TO away").run();
  try {
    for (const text of [forged, "nak_", "nak_short", `nak_${"x".repeat(43)}`, `${key}x`])
      assert.equal((await by(text, "GET", "/api/me")).status, 401, text);
    assert.ok((await by(key, "GET", "/api/me")).status >= 500, "a real one is looked up");
  } finally {
    await system.db.prepare("ALTER TABLE away RENAME TO api_key_secrets").run();
  }
  assert.equal((await by(key, "GET", "/api/me")).status, 200);
});

test("the last use is written at most once an hour", async () => {
  const made = await make("developer", { roles: [role("automation", "VIEWER")] });
  const lastUse = async () =>
    (await as(system, "developer", "GET", `/api/keys/${made.id}`)).body.last_used_at;
  assert.equal(await lastUse(), null);
  await by(made.key, "GET", "/api/me");
  const first = await eventually(lastUse, 5_000, "the first use");
  for (let i = 0; i < 5; i++) await by(made.key, "GET", "/api/me");
  assert.equal(await lastUse(), first);
  await system.db
    .prepare("UPDATE api_keys SET last_used_at = ? WHERE id = ?")
    .bind(first - 3_600_000, made.id)
    .run();
  await by(made.key, "GET", "/api/me");
  await eventually(async () => (await lastUse()) >= first, 5_000, "the use after an hour");
  assert.equal(
    (await as(system, "developer", "GET", `/api/keys/${made.id}`)).body.version,
    1,
    "it is no change",
  );
});

test("a key in a call to the gateway is refused, or taken out before the upstream", async () => {
  const key = await putKey(system, "user_admin", [["core-team", "ADMIN"]]);
  const alone = await system.gateway("/api/k1/x", { headers: { authorization: `Bearer ${key}` } });
  assert.deepEqual([alone.status, (await alone.json()).code], [401, "invalid-api-key"]);
  const token = (await as(system, "admin", "POST", "/api/tokens", newToken("gw"))).body.token;
  const called = await system.gateway("/api/k1/x", {
    headers: { "x-api-key": token, authorization: `Bearer ${key}`, "x-other": key },
  });
  const text = await called.text();
  assert.equal(called.status, 200, text);
  assert.ok(!text.includes(key.slice(4)), "the upstream has seen the key");
});

test("a person has at most 50 keys that work, and each key its own rate", async () => {
  const roles = [role("automation", "VIEWER")];
  const before = (await as(system, "viewer", "GET", "/api/keys?limit=200")).body.items.length;
  for (let i = before; i < 50; i++)
    assert.equal((await as(system, "viewer", "POST", "/api/keys", { name: `${i}`, roles })).status, 201);
  const one = await as(system, "viewer", "POST", "/api/keys", { name: "x", roles });
  assert.deepEqual([one.status, one.body.details[0].code], [409, "too-many-keys"]);
  const first = (await as(system, "viewer", "GET", "/api/keys?limit=30")).body;
  const second = (await as(system, "viewer", "GET", `/api/keys?limit=30&cursor=${first.next_cursor}`)).body;
  assert.equal(new Set([...first.items, ...second.items].map(({ id }) => id)).size, 50);

  const bounded = await startOnSockets({ rates: { PEOPLE_RATE: 5 } });
  try {
    const me = async (key) =>
      (await bounded.call("/api/me", { headers: { authorization: `Bearer ${key}` } })).status;
    const keys = [];
    for (let i = 0; i < 2; i++) keys.push(await putKey(bounded, "user_viewer", []));
    const statuses = [];
    for (let i = 0; i < 11; i++) statuses.push(await me(keys[0]));
    assert.ok(statuses.includes(429), "at the latest in the next window");
    assert.equal(await me(keys[1]), 200);
  } finally {
    await bounded.stop();
  }
});

test("a key is no session: another origin may send one, and reads nothing", async () => {
  const key = await putKey(system, "user_developer", [["automation", "VIEWER"]]);
  const response = await system.call("/api/me", {
    headers: { authorization: `Bearer ${key}`, origin: "https://evil.example" },
  });
  assert.equal(response.headers.get("access-control-allow-origin"), null);
  const cookie = await system.call("/api/me", { headers: { cookie: `__session=${key}` } });
  assert.equal(cookie.status, 401);
  const header = await system.call("/api/me", { headers: { "x-api-key": key } });
  assert.equal(header.status, 401);
});
