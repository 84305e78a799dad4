// Teams, people and their roles.
// Its lines stay in one file: its tests share the people that they make.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startSystem } from "../support/harness.mjs";
import { sha256 } from "../support/tokens.mjs";

let system;
before(async () => (system = await startSystem()));
after(() => system?.stop());

const ask = (user, method, where, body, headers) => as(system, user, method, where, body, headers);
const fields = (answer) => answer.body.details?.map((d) => d.field);

/** Inserts a person directly into D1, with roles as { team: role }. */
async function person(id, roles = {}) {
  await system.db
    .prepare(
      "INSERT INTO users (id, email, email_verified, name, created_at, updated_at) VALUES (?, ?, 1, ?, 1, 1)",
    )
    .bind(`user_${id}`, `${id}@example.test`, id)
    .run();
  for (const [team, role] of Object.entries(roles)) {
    await system.db
      .prepare("INSERT INTO memberships VALUES (?, ?, ?, 1)")
      .bind(`user_${id}`, team, role)
      .run();
  }
}

const newTeam = async (id, more) =>
  assert.equal((await ask("admin", "POST", "/api/teams", { id, name: id, ...more })).status, 201);

test("everybody sees their own profile, even while waiting for access", async () => {
  const admin = await ask("admin", "GET", "/api/me");
  assert.equal(admin.status, 200);
  assert.equal(admin.body.is_platform_admin, true);
  assert.deepEqual(admin.body.memberships, [{ team_id: "core-team", team_name: "Core team", role: "ADMIN" }]);
  const newcomer = await ask("newcomer", "GET", "/api/me");
  assert.deepEqual(
    [newcomer.status, newcomer.body.memberships, newcomer.body.is_platform_admin],
    [200, [], false],
  );
  const unknown = await ask("never_seen", "GET", "/api/me");
  assert.deepEqual(
    [unknown.status, unknown.body.id, unknown.body.email],
    [200, "user_never_seen", null],
    "first sign-in",
  );
});

test("a team is made, edited, capped, and deleted only when it is empty", async () => {
  await newTeam("web", { color: "#00AA00", icon: "globe", scope_cap: ["openai"] });
  const again = await ask("admin", "POST", "/api/teams", { id: "web", name: "Web" });
  assert.deepEqual([again.status, fields(again)], [409, ["id"]]);
  assert.deepEqual(fields(await ask("admin", "POST", "/api/teams", { id: "No", name: "" })), ["id", "name"]);

  const team = await ask("admin", "GET", "/api/teams/web");
  assert.deepEqual(
    [team.body.color, team.body.members, team.body.tokens, team.body.scope_cap],
    ["#00aa00", 0, 0, ["openai"]],
  );
  const etag = team.headers.get("etag");
  const edited = await ask(
    "admin",
    "PUT",
    "/api/teams/web",
    { name: "Web", description: null },
    { "if-match": etag },
  );
  assert.deepEqual([edited.status, edited.body.name, edited.body.propagation], [200, "Web", "published"]);
  assert.equal(
    (await ask("admin", "PUT", "/api/teams/web", { name: "Lost" }, { "if-match": etag })).status,
    412,
  );

  const token = await ask("admin", "POST", "/api/tokens", { name: "t", team_id: "web", scopes: ["openai"] });
  assert.equal(token.status, 201);
  const full = await ask("admin", "DELETE", "/api/teams/web");
  assert.deepEqual([full.status, fields(full)], [409, ["id"]]);
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${token.body.id}`)).status, 200);
  assert.equal((await ask("admin", "DELETE", "/api/teams/web")).status, 200);
  assert.equal((await ask("admin", "GET", "/api/teams/web")).status, 404);
  assert.equal(
    (await ask("admin", "POST", "/api/teams", { id: "web", name: "again" })).status,
    409,
    "an id is never used again",
  );
  assert.equal(
    (await ask("admin", "POST", "/api/tokens", { name: "t", team_id: "web", scopes: ["*"] })).status,
    422,
  );
  assert.equal((await ask("admin", "DELETE", "/api/teams/core-team")).status, 409, "core-team stays");
});

test("a team's budget and time zone reach its tokens, and the cron keeps the zone", async () => {
  const zoned = { budget: { cost_micros_per_week: 5_000_000 }, zone: "Europe/Berlin" };
  await newTeam("zoned", zoned);
  await person("zoned-admin", { zoned: "ADMIN" });
  const { token, id } = (
    await ask("admin", "POST", "/api/tokens", { name: "t", team_id: "zoned", scopes: ["*"] })
  ).body;
  const inKv = async () => JSON.parse(await system.kv.get(`token:${sha256(token)}`));
  const { team_budget, zone } = await inKv();
  assert.deepEqual(team_budget, zoned.budget);
  const [at, offset] = zone.next;
  assert.ok(
    zone.offset_ms % 3_600_000 === 0 && offset !== zone.offset_ms && at > Date.now(),
    JSON.stringify(zone),
  );
  const { body } = await ask("admin", "GET", `/api/tokens/${id}/limits`);
  assert.deepEqual([body.team_budget, body.team_uses[0].kind], [zoned.budget, "cost-micros-per-week"]);
  for (const change of [{ budget: null }, { zone: null }])
    assert.equal((await ask("zoned-admin", "PUT", "/api/teams/zoned", change)).status, 403);
  const wrong = { budget: { calls_per_day: 1 } };
  assert.deepEqual(fields(await ask("admin", "PUT", "/api/teams/zoned", wrong)), ["budget.calls_per_day"]);
  assert.deepEqual(fields(await ask("admin", "PUT", "/api/teams/zoned", { zone: "Mars/Olympus" })), ["zone"]);
  const passed = { name: "Europe/Berlin", offset_ms: 0, next: [Date.now() - 1, 3_600_000] };
  await system.db.prepare("UPDATE teams SET zone = ?1 WHERE id = 'zoned'").bind(JSON.stringify(passed)).run();
  await system.cron();
  await eventually(async () => (await inKv()).zone.next?.[0] === at, 10_000, "the next change being known");
  assert.equal((await ask("admin", "PUT", "/api/teams/zoned", { zone: null })).body.zone, null);
});

test("only the platform admin sets a team's limits, and they reach every token of the team", async () => {
  await newTeam("limited", { limits: { calls_per_day: 100 } });
  await person("limits-admin", { limited: "ADMIN" });
  const tokens = await Promise.all(
    [undefined, { calls_per_day: 7 }].map((limits) =>
      ask("admin", "POST", "/api/tokens", { name: "t", team_id: "limited", scopes: ["*"], limits }),
    ),
  );
  const published = () =>
    Promise.all(
      tokens.map(async ({ body }) => JSON.parse(await system.kv.get(`token:${sha256(body.token)}`)).limits),
    );
  assert.deepEqual(await published(), [{ calls_per_day: 100 }, { calls_per_day: 7 }]);
  assert.equal((await ask("limits-admin", "PUT", "/api/teams/limited", { limits: null })).status, 403);
  assert.deepEqual(fields(await ask("admin", "PUT", "/api/teams/limited", { limits: { body_bytes: 0 } })), [
    "limits.body_bytes",
  ]);
  const cut = await ask("admin", "PUT", "/api/teams/limited", {
    limits: { calls_per_day: 5, concurrent_calls: 2 },
  });
  assert.deepEqual([cut.status, cut.body.limits], [200, { calls_per_day: 5, concurrent_calls: 2 }]);
  assert.deepEqual(await published(), [
    { calls_per_day: 5, concurrent_calls: 2 },
    { calls_per_day: 7, concurrent_calls: 2 },
  ]);
  const [entry] = (
    await ask("admin", "GET", "/api/dashboard/audit-logs?entity_id=limited")
  ).body.items.filter((item) => item.action === "update-team" && item.result === "done");
  assert.deepEqual(
    [entry.before.limits, entry.after.limits],
    [{ calls_per_day: 100 }, { calls_per_day: 5, concurrent_calls: 2 }],
  );
});

test("a narrower cap reaches every token of the team", async () => {
  await newTeam("capped");
  const tokens = await Promise.all(
    [1, 2, 3].map((n) =>
      ask("admin", "POST", "/api/tokens", { name: `t${n}`, team_id: "capped", scopes: ["*"] }),
    ),
  );
  const scopesInKv = async (token) => JSON.parse(await system.kv.get(await kvKey(token.body.token))).scopes;
  assert.deepEqual(await scopesInKv(tokens[0]), ["*"]);
  const cut = await ask("admin", "PUT", "/api/teams/capped", { scope_cap: ["openai", "tag:ai"] });
  assert.deepEqual([cut.status, cut.body.propagation], [200, "published"]);
  for (const token of tokens) assert.deepEqual(await scopesInKv(token), ["openai", "tag:ai"]);
  const rotated = await ask("admin", "POST", `/api/tokens/${tokens[0].body.id}/rotate`);
  assert.deepEqual(await scopesInKv(rotated), ["openai", "tag:ai"], "a rotation does not widen it");
  assert.equal((await ask("admin", "PUT", "/api/teams/capped", { scope_cap: null })).status, 200);
  assert.deepEqual(await scopesInKv(tokens[1]), ["*"], "the original scopes return with the cap");
});

async function kvKey(token) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return `token:${Buffer.from(digest).toString("hex")}`;
}

test("parity fault 7: a MANAGER changes nobody to a role above DEVELOPER, nor anybody who has one", async () => {
  await newTeam("floor");
  await person("boss", { floor: "ADMIN" });
  await person("lead", { floor: "MANAGER" });
  await person("dev", { floor: "DEVELOPER" });
  await person("outsider", { automation: "ADMIN" });
  const role = (user, whom, role, team = "floor") =>
    ask(user, "PUT", `/api/users/user_${whom}/team-role`, { team_id: team, role });
  assert.equal((await role("lead", "dev", "VIEWER")).status, 200);
  assert.equal((await role("lead", "dev", "MANAGER")).status, 403);
  assert.equal((await role("lead", "boss", "VIEWER")).status, 403);
  assert.equal((await role("lead", "lead", "ADMIN")).status, 403, "not even themselves");
  assert.equal((await ask("lead", "DELETE", "/api/users/user_boss/team-membership/floor")).status, 403);
  assert.equal((await role("dev", "dev", "ADMIN")).status, 403);
  assert.equal(
    (await role("outsider", "dev", "VIEWER")).status,
    404,
    "another team's ADMIN does not see the team",
  );
  assert.equal(
    (await role("outsider", "outsider", "ADMIN", "core-team")).status,
    404,
    "they do not see core-team either",
  );
  assert.equal((await role("boss", "dev", "MANAGER")).status, 200);
  assert.equal((await role("boss", "never_seen_either", "VIEWER")).status, 404);
  assert.equal(
    (await role("boss", "outsider", "VIEWER")).status,
    404,
    "callers can only add people they can see",
  );
});

test("a team's last ADMIN stays, even if two remove each other at once", async () => {
  await newTeam("pair");
  await person("left", { pair: "ADMIN" });
  const alone = await ask("left", "PUT", "/api/users/user_left/team-role", {
    team_id: "pair",
    role: "VIEWER",
  });
  assert.deepEqual([alone.status, fields(alone)], [409, ["role"]]);
  assert.equal((await ask("admin", "DELETE", "/api/users/user_left/team-membership/pair")).status, 409);
  await person("right", { pair: "ADMIN" });
  const both = await Promise.all([
    ask("left", "DELETE", "/api/users/user_right/team-membership/pair"),
    ask("right", "DELETE", "/api/users/user_left/team-membership/pair"),
  ]);
  const { results } = await system.db
    .prepare("SELECT user_id FROM memberships WHERE team_id = 'pair' AND role = 'ADMIN'")
    .all();
  assert.equal(results.length, 1, JSON.stringify(both.map((a) => a.status)));
  assert.equal(both.filter((answer) => answer.status === 200).length, 1);
});

test("one role in many teams: all or none, each with its audit entry", async () => {
  await Promise.all(["one", "two", "three"].map((id) => newTeam(id)));
  await person("many", { two: "ADMIN" });
  const put = (teams) =>
    ask("admin", "PUT", "/api/users/user_many/team-role", { team_ids: teams, role: "DEVELOPER" });
  const refused = await put(["one", "two", "three"]);
  assert.equal(refused.status, 409, "the last ADMIN of one of them");
  const roles = async () =>
    (await ask("admin", "GET", "/api/users?search=many")).body.items[0].memberships.map(
      (m) => `${m.team_id} ${m.role}`,
    );
  assert.deepEqual(await roles(), ["two ADMIN"], "none of them was changed");
  const done = await put(["one", "three"]);
  assert.equal(done.status, 200);
  assert.deepEqual(await roles(), ["one DEVELOPER", "three DEVELOPER", "two ADMIN"]);
  const audit = await ask(
    "admin",
    "GET",
    "/api/dashboard/audit-logs?entity_id=user_many&action=set-team-role&result=done",
  );
  assert.deepEqual(audit.body.items.map((e) => e.team_id).sort(), ["one", "three"]);
  assert.deepEqual(fields(await put([])), ["team_ids"]);
});

test("members join and leave; adding an existing member is a conflict", async () => {
  await newTeam("crew");
  const add = (role) =>
    ask("admin", "POST", "/api/users/user_newcomer/team-membership", { team_id: "crew", role });
  const added = await add("VIEWER");
  assert.deepEqual([added.status, added.body.memberships.map((m) => m.team_id)], [201, ["crew"]]);
  assert.deepEqual(fields(await add("ADMIN")), ["team_id"]);
  const members = await ask("newcomer", "GET", "/api/teams/crew/members");
  assert.deepEqual(
    members.body.items.map((m) => [m.id, m.role]),
    [["user_newcomer", "VIEWER"]],
  );
  assert.equal((await ask("admin", "DELETE", "/api/users/user_newcomer/team-membership/crew")).status, 200);
  assert.equal((await ask("admin", "DELETE", "/api/users/user_newcomer/team-membership/crew")).status, 404);
  assert.equal((await ask("newcomer", "GET", "/api/teams/crew")).status, 404);
});

test("callers see people who share a team with them; the platform admin sees all, beyond the first hundred", async () => {
  await newTeam("crowd");
  const statements = Array.from({ length: 130 }, (_, i) => [
    system.db
      .prepare("INSERT INTO users (id, name, created_at, updated_at) VALUES (?, ?, ?, 1)")
      .bind(`user_c${i}`, `Crowd ${i}`, i),
    system.db
      .prepare("INSERT INTO memberships VALUES (?, 'crowd', ?, 1)")
      .bind(`user_c${i}`, i < 3 ? "MANAGER" : "VIEWER"),
  ]);
  await system.db.batch(statements.flat());
  const walk = async (user, where) => {
    const ids = [];
    for (let cursor = ""; ;) {
      const { status, body } = await ask(user, "GET", `${where}limit=50${cursor && `&cursor=${cursor}`}`);
      assert.equal(status, 200);
      ids.push(...body.items.map((p) => p.id));
      if (!body.next_cursor) return ids;
      cursor = body.next_cursor;
    }
  };
  const all = await walk("admin", "/api/users?");
  assert.ok(all.includes("user_newcomer") && all.length > 130 && new Set(all).size === all.length);
  assert.equal((await walk("admin", "/api/users?team_id=crowd&")).length, 130);
  assert.deepEqual((await walk("developer", "/api/users?")).sort(), [
    "user_developer",
    "user_manager",
    "user_outsider",
    "user_viewer",
  ]);
  assert.deepEqual(await walk("never_seen", "/api/users?"), []);
  const members = await walk("c0", "/api/teams/crowd/members?");
  assert.equal(members.length, 130);
  assert.deepEqual(members.slice(0, 3), ["user_c0", "user_c1", "user_c2"], "highest role first");
  assert.equal((await ask("admin", "GET", "/api/teams/crowd")).body.members, 130);
});

test("the audit log shows changes and refused attempts to those who may see them", async () => {
  const where = "/api/dashboard/audit-logs";
  const all = await ask("admin", "GET", `${where}?limit=200`);
  assert.ok(
    all.body.items.some(
      (e) => e.result === "refused" && e.action === "set-team-role" && e.actor === "user_lead",
    ),
  );
  const created = all.body.items.find((e) => e.action === "create-team" && e.entity_id === "capped");
  assert.deepEqual([created.actor_name, created.result, created.before], ["Ada Admin", "done", null]);
  assert.ok(all.body.items.every((e) => e.request_id));
  const own = await ask("boss", "GET", where);
  assert.equal(own.status, 200);
  assert.ok(own.body.items.length > 0 && own.body.items.every((e) => e.team_id === "floor"));
  assert.equal((await ask("boss", "GET", `${where}?team_id=core-team`)).body.items.length, 0);
  assert.equal((await ask("developer", "GET", where)).status, 403);
  assert.equal((await ask("never_seen", "GET", where)).status, 404);
  const first = await ask("admin", "GET", `${where}?limit=2`);
  const second = await ask("admin", "GET", `${where}?limit=2&cursor=${first.body.next_cursor}`);
  assert.deepEqual(
    [...first.body.items, ...second.body.items].map((e) => e.id),
    all.body.items.slice(0, 4).map((e) => e.id),
  );
  assert.deepEqual(fields(await ask("admin", "GET", `${where}?from=yesterday`)), ["from"]);
  assert.equal((await ask("admin", "GET", `${where}?to=2001-01-01T00:00:00Z`)).body.items.length, 0);
});

test("a filter by team reveals nothing about a team that the caller may not see", async () => {
  await newTeam("hidden");
  await person("double", { hidden: "VIEWER", automation: "VIEWER" });
  const ids = async (user, team) =>
    (await ask(user, "GET", `/api/users?team_id=${team}`)).body.items.map((p) => p.id);
  assert.deepEqual(await ids("viewer", "hidden"), []);
  assert.deepEqual(await ids("viewer", "no-such-team"), []);
  assert.ok((await ids("viewer", "automation")).includes("user_double"));
  assert.deepEqual(await ids("admin", "hidden"), ["user_double"]);
});

test("the tokens of a person who leaves are counted, have notifications, and are attended to", async () => {
  await newTeam("leaving");
  await person("stayer", { leaving: "ADMIN" });
  await person("maker", { leaving: "DEVELOPER" });
  const make = async (name) =>
    (await ask("maker", "POST", "/api/tokens", { name, team_id: "leaving", scopes: ["*"] })).body.id;
  const [first, second, ended] = [await make("first"), await make("second"), await make("ended")];
  await ask("maker", "DELETE", `/api/tokens/${ended}`);
  const member = (await ask("stayer", "GET", "/api/teams/leaving/members")).body.items.find(
    (m) => m.id === "user_maker",
  );
  assert.equal(member.live_tokens, 2);
  const removed = await ask("stayer", "DELETE", "/api/users/user_maker/team-membership/leaving");
  assert.deepEqual([removed.status, removed.body.live_tokens], [200, 2]);
  const bell = async (user = "stayer") =>
    (await ask(user, "GET", "/api/notifications")).body.items.filter(
      (n) => n.kind === "token-unattended" && n.team_id === "leaving",
    );
  assert.deepEqual(
    (await bell()).map((n) => [n.subject, n.details.person]).sort(),
    [
      [first, "maker"],
      [second, "maker"],
    ].sort(),
  );
  assert.deepEqual(await bell("viewer"), [], "another team does not see it");
  assert.equal((await ask("stayer", "POST", `/api/tokens/${first}/rotate`)).status, 201);
  assert.deepEqual(
    (await bell()).map((n) => n.subject),
    [second],
  );
  await ask("admin", "POST", "/api/users/user_maker/team-membership", {
    team_id: "leaving",
    role: "DEVELOPER",
  });
  assert.deepEqual(await bell(), [], "their maker may change them again");
  const demoted = await ask("stayer", "PUT", "/api/users/user_maker/team-role", {
    team_id: "leaving",
    role: "VIEWER",
  });
  assert.deepEqual([demoted.status, demoted.body.live_tokens, (await bell()).length], [200, 2, 2]);
});

test("repeated refused attempts share one entry with their number", async () => {
  await newTeam("knocked");
  await person("knocker", { knocked: "VIEWER" });
  for (let i = 0; i < 12; i++)
    assert.equal((await ask("knocker", "PUT", "/api/teams/knocked", { name: "mine" })).status, 403);
  const entries = async () =>
    (await ask("admin", "GET", "/api/dashboard/audit-logs?actor=user_knocker")).body.items;
  const { items } = await (async () => {
    for (let i = 0; ; i++) {
      const items = await entries();
      if (items.reduce((sum, entry) => sum + (entry.after?.times ?? 1), 0) === 12) return { items };
      assert.ok(i < 100, JSON.stringify(items));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  assert.ok(items.length <= 2, "one, or two at the turn of a minute");
});
