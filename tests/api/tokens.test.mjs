// Tokens: made, changed, rotated, revoked, listed.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { as, eventually, startSystem } from "../support/harness.mjs";
import { sha256 } from "../support/tokens.mjs";

let system;
before(async () => (system = await startSystem()));
after(() => system?.stop());

const good = (more = {}) => ({
  name: "n8n",
  team_id: "automation",
  scopes: ["openai"],
  expires_days: 90,
  ...more,
});
const create = (user, more, headers) => as(system, user, "POST", "/api/tokens", good(more), headers);
const fields = (answer) => (answer.body.details ?? []).map((detail) => detail.field);

/** Checks the error envelope, whose request id is also in the header. */
function assertEnvelope(answer) {
  for (const name of ["error", "message", "code", "request_id"])
    assert.equal(typeof answer.body[name], "string", name);
  assert.equal(answer.headers.get("x-request-id"), answer.body.request_id);
}

test("201: a token is made, shown once and found again without its secret", async () => {
  const made = await create("developer");
  assert.equal(made.status, 201);
  assert.match(made.body.token, /^ntk_[0-9A-Za-z]{49}$/);
  assert.equal(made.body.propagation, "published");
  const got = await as(system, "viewer", "GET", `/api/tokens/${made.body.id}`);
  assert.equal(got.status, 200);
  assert.equal(got.body.token, undefined);
  assert.equal(
    `${got.body.hint.start}…${got.body.hint.end}`,
    `${made.body.token.slice(0, 12)}…${made.body.token.slice(-4)}`,
  );
  const days = (got.body.expires_at - got.body.created_at) / 86_400_000;
  assert.equal(Math.round(days), 90);
});

test("200: the list pages, filters, searches and sorts on the server", async () => {
  for (let i = 0; i < 5; i++) await create("manager", { name: `paged ${i}` });
  const names = [];
  let cursor = "";
  do {
    const page = await as(
      system,
      "viewer",
      "GET",
      `/api/tokens?search=PAGED&sort=name&limit=2${cursor && `&cursor=${cursor}`}`,
    );
    assert.equal(page.status, 200, JSON.stringify(page.body));
    assert.ok(page.body.items.length <= 2);
    names.push(...page.body.items.map((token) => token.name));
    cursor = page.body.next_cursor;
  } while (cursor);
  assert.deepEqual(names, ["paged 0", "paged 1", "paged 2", "paged 3", "paged 4"]);
  const none = await as(system, "admin", "GET", "/api/tokens?state=revoked&search=paged");
  assert.deepEqual(none.body.items, []);
});

test("400 and 422: every bad field is named and nothing is written", async () => {
  const count = async () => (await system.db.prepare("SELECT count(*) AS n FROM tokens").first()).n;
  const before = await count();
  for (const [more, field] of [
    [{ name: "" }, "name"],
    [{ name: "x".repeat(256) }, "name"],
    [{ name: 5 }, "name"],
    [{ name: undefined }, "name"],
    [{ team_id: "No Team" }, "team_id"],
    [{ scopes: [] }, "scopes"],
    [{ scopes: undefined }, "scopes"],
    [{ scopes: "openai" }, "scopes"],
    [{ scopes: ["openai", "a b"] }, "scopes.1"],
    [{ expires_days: 0 }, "expires_days"],
    [{ expires_days: 99_999 }, "expires_days"],
    [{ expires_days: "90" }, "expires_days"],
    [{ description: "x".repeat(501) }, "description"],
    [{ ip_allow: ["10.0.0.0/99"] }, "ip_allow.0"],
    [{ limits: { calls_per_second: 0 } }, "limits.calls_per_second"],
    [{ limits: { concurrent_calls: 1_001 } }, "limits.concurrent_calls"],
    [{ limits: { cost_micros_per_day: -1 } }, "limits.cost_micros_per_day"],
    [{ limits: { cost_micros_per_month: 1e30 } }, "limits.cost_micros_per_month"],
    [{ limits: { body_bytes: 1.5 } }, "limits.body_bytes"],
    [{ limits: { on_limit_failure: "maybe" } }, "limits.on_limit_failure"],
    [{ limits: { calls_per_week: 5 } }, "limits.calls_per_week"],
    [{ limits: 5 }, "limits"],
    [{ inject_faults: "yes" }, "inject_faults"],
    [{ may_derive: 1 }, "may_derive"],
    [{ surprise: true }, "surprise"],
  ]) {
    const answer = await create("admin", more);
    assert.equal(answer.status, 422, `${JSON.stringify(more).slice(0, 60)}: ${JSON.stringify(answer.body)}`);
    assertEnvelope(answer);
    assert.ok(fields(answer).includes(field), `${field} in ${JSON.stringify(answer.body.details)}`);
  }
  for (const body of ["", "{", "[]", "null", '"x"', '{"name":']) {
    const response = await system.call("/api/tokens", {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${system.jwt()}` },
    });
    assert.ok([400, 422].includes(response.status), `${body}: ${response.status}`);
    assert.ok((await response.json()).details?.length > 0, body);
  }
  assert.equal(await count(), before);
});

test("413 or 422: ten megabytes of name are refused and nothing breaks", async () => {
  const answer = await create("admin", { name: "x".repeat(10_000_000) });
  assert.ok([413, 422].includes(answer.status), String(answer.status));
  assertEnvelope(answer);
});

test("422: unknown query parameters, bad limits and cursors are named", async () => {
  for (const [query, field] of [
    ["limit=0", "limit"],
    ["limit=201", "limit"],
    ["limit=x", "limit"],
    ["cursor=%00", "cursor"],
    ["cursor=abc", "cursor"],
    [`cursor=${Buffer.from('[9223372036854775807,"x"]').toString("base64url")}`, "cursor"],
    ["sort=color", "sort"],
    ["colour=red", "colour"],
  ]) {
    const answer = await as(system, "admin", "GET", `/api/tokens?${query}`);
    assert.equal(answer.status, 422, `${query}: ${JSON.stringify(answer.body)}`);
    assert.ok(fields(answer).includes(field), `${query}: ${JSON.stringify(answer.body.details)}`);
  }
});

test("403 and 404: callers see their teams and change what their role allows", async () => {
  const byManager = (await create("manager")).body;
  const byDeveloper = (await create("developer")).body;
  const change = async (user, token) =>
    (await as(system, user, "PUT", `/api/tokens/${token.id}`, { name: "renamed" })).status;
  assert.deepEqual(
    [await change("developer", byDeveloper), await change("developer", byManager)],
    [200, 403],
  );
  assert.deepEqual([await change("manager", byDeveloper), await change("admin", byManager)], [200, 200]);
  assert.deepEqual([await change("viewer", byManager), await change("newcomer", byManager)], [403, 404]);
  assert.equal((await create("viewer")).status, 403);
  assert.equal((await create("newcomer")).status, 404);
  assert.equal((await as(system, "newcomer", "GET", `/api/tokens/${byManager.id}`)).status, 404);
  assert.equal((await as(system, "admin", "GET", "/api/tokens/tok_nowhere")).status, 404);
  assert.deepEqual(
    (await as(system, "manager", "GET", "/api/tokens?team_id=core-team")).body.items ?? [],
    [],
  );
});

test("403: refused attempts are in the audit log, and so is every change, without secrets", async () => {
  const made = (await create("manager", { name: "audited" })).body;
  await as(system, "viewer", "DELETE", `/api/tokens/${made.id}`);
  await as(system, "manager", "POST", `/api/tokens/${made.id}/disable`);
  const { results } = await system.db
    .prepare("SELECT actor, action, result, after FROM audit WHERE entity_id = ? ORDER BY at, id")
    .bind(made.id)
    .all();
  const rows = results.map((row) => [row.actor, row.result]);
  assert.ok(
    rows.some(([actor, result]) => actor === "user_viewer" && result === "refused"),
    JSON.stringify(results),
  );
  assert.equal(rows.filter(([actor, result]) => actor === "user_manager" && result === "done").length, 2);
  assert.ok(!JSON.stringify(results).includes(made.token));
});

test("409 and 200: Idempotency-Key makes one token, and shows its secret once", async () => {
  const key = { "idempotency-key": "run-1" };
  const first = await create("manager", { name: "once" }, key);
  const second = await create("manager", { name: "once" }, key);
  assert.equal(first.status, 201);
  assert.deepEqual([second.status, second.body.id, second.body.token], [200, first.body.id, undefined]);
  const other = await create("manager", { name: "another" }, key);
  assert.equal(other.status, 409);
  const rotate = () =>
    as(system, "manager", "POST", `/api/tokens/${first.body.id}/rotate`, {}, { "idempotency-key": "rot-1" });
  const [one, two] = [await rotate(), await rotate()];
  assert.deepEqual(
    [one.status, two.status, typeof one.body.token, two.body.token],
    [201, 200, "string", undefined],
  );
  const secrets = await as(system, "manager", "GET", `/api/tokens/${first.body.id}/secrets`);
  assert.equal(secrets.body.items.length, 2);
});

test("the grace of a rotation can be ended at once", async () => {
  const made = (await create("manager", { name: "hurried" })).body;
  const path = `/api/tokens/${made.id}`;
  const end = (user, headers) => as(system, user, "POST", `${path}/end-secrets`, undefined, headers);
  const unrotated = await end("manager");
  assert.deepEqual(
    [unrotated.status, unrotated.body.version],
    [200, made.version],
    "there is nothing to end",
  );
  const rotated = (await as(system, "manager", "POST", `${path}/rotate`, { grace_hours: 24 })).body;
  assert.equal((await end("viewer")).status, 403);
  assert.equal((await end("manager", { "if-match": `"${made.version}"` })).status, 412);
  const secrets = async () => (await as(system, "manager", "GET", `${path}/secrets`)).body.items;
  const [, kept] = await secrets();
  assert.ok(kept.ends_at > Date.now(), "neither has ended it");
  const hash = sha256(made.token);
  assert.equal(kept.id, hash.slice(0, 12));
  const ended = await end("manager", { "if-match": `"${rotated.version}"` });
  assert.deepEqual([ended.status, ended.body.version], [200, rotated.version + 1]);
  const [newest, old] = await secrets();
  assert.equal(newest.ends_at, null);
  assert.ok(old.ends_at <= Date.now());
  assert.equal((await end("manager")).body.version, ended.body.version, "a repeat changes nothing");
  const { results } = await system.db
    .prepare("SELECT after FROM audit WHERE entity_id = ? AND action = 'end-secrets' AND result = 'done'")
    .bind(made.id)
    .all();
  assert.deepEqual(
    results.map(({ after }) => JSON.parse(after)),
    [{ hint: newest.hint, ended: [old.hint] }],
  );
});

test("412: if two admins save the same token, the second gets 412 and overwrites nothing", async () => {
  const token = (await create("manager")).body;
  const read = await as(system, "manager", "GET", `/api/tokens/${token.id}`);
  const etag = read.headers.get("etag");
  assert.match(etag, /^"\d+"$/);
  const save = (name) =>
    as(system, "manager", "PUT", `/api/tokens/${token.id}`, { name }, { "if-match": etag });
  const answers = await Promise.all([save("first"), save("second")]);
  assert.deepEqual(answers.map((a) => a.status).sort(), [200, 412]);
  const winner = answers.find((a) => a.status === 200);
  const now = await as(system, "manager", "GET", `/api/tokens/${token.id}`);
  assert.equal(now.body.name, winner.body.name);
  assert.equal(now.headers.get("etag"), winner.headers.get("etag"));
});

test("422: scopes must be within the team's cap", async () => {
  await system.db.prepare("UPDATE teams SET scope_cap = '[\"openai\"]' WHERE id = 'automation'").run();
  try {
    const outside = await create("manager", { scopes: ["openai", "*"] });
    assert.deepEqual([outside.status, fields(outside)], [422, ["scopes.1"]]);
    const inside = await create("manager", { scopes: ["openai", "GET /api/openai/models"] });
    assert.equal(inside.status, 201);
    const widened = await as(system, "manager", "PUT", `/api/tokens/${inside.body.id}`, { scopes: ["*"] });
    assert.deepEqual([widened.status, fields(widened)], [422, ["scopes.0"]]);
  } finally {
    await system.db.prepare("UPDATE teams SET scope_cap = NULL WHERE id = 'automation'").run();
  }
});

/** Reads the published record of a token's secret. */
const recordOf = async (token) => JSON.parse(await system.kv.get(`token:${sha256(token)}`));

test("limits are kept, published with the team's defaults, and cleared by null", async () => {
  await system.db
    .prepare("UPDATE teams SET limits = ? WHERE id = 'automation'")
    .bind('{"calls_per_minute":60,"concurrent_calls":3}')
    .run();
  try {
    const made = await create("developer", {
      limits: { calls_per_minute: 10, cost_micros_per_day: 5_000_000 },
      inject_faults: true,
      may_derive: true,
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual(
      [made.body.limits, made.body.inject_faults, made.body.may_derive],
      [{ calls_per_minute: 10, cost_micros_per_day: 5_000_000 }, true, true],
    );
    const inForce = { calls_per_minute: 10, concurrent_calls: 3, cost_micros_per_day: 5_000_000 };
    const record = await recordOf(made.body.token);
    assert.deepEqual([record.limits, record.inject_faults, record.may_derive], [inForce, true, true]);
    const limits = await as(system, "viewer", "GET", `/api/tokens/${made.body.id}/limits`);
    assert.deepEqual([limits.status, limits.body.limits], [200, inForce]);
    assert.equal((await as(system, "newcomer", "GET", `/api/tokens/${made.body.id}/limits`)).status, 404);
    const own = await system.call("/api/usage/me", { headers: { "x-api-key": made.body.token } });
    assert.deepEqual((await own.json()).limits, inForce);

    const cleared = await as(system, "manager", "PUT", `/api/tokens/${made.body.id}`, {
      limits: null,
      inject_faults: false,
      may_derive: false,
    });
    assert.equal(cleared.body.may_derive, false);
    assert.deepEqual([cleared.status, cleared.body.limits, cleared.body.inject_faults], [200, {}, false]);
    const after = await recordOf(made.body.token);
    assert.deepEqual(
      [after.limits, after.inject_faults, after.may_derive],
      [{ calls_per_minute: 60, concurrent_calls: 3 }, undefined, undefined],
    );
    const entries = (await as(system, "admin", "GET", `/api/dashboard/audit-logs?entity_id=${made.body.id}`))
      .body.items;
    const [update] = entries.filter((entry) => entry.action === "update-token");
    assert.deepEqual([update.before.limits.calls_per_minute, update.after.limits], [10, {}]);
  } finally {
    await system.db.prepare("UPDATE teams SET limits = NULL WHERE id = 'automation'").run();
  }
});

test("models are shown as they were set, can be sent back, and are marked in KV for older gateways", async () => {
  const limits = { models: ["gpt-4o*", "o3"] };
  const { body } = await create("manager", { limits });
  assert.deepEqual(body.limits, limits);
  assert.deepEqual((await recordOf(body.token)).limits, { ...limits, critical: ["models"] });
  const changed = await as(system, "manager", "PUT", `/api/tokens/${body.id}`, { limits: body.limits });
  assert.deepEqual([changed.status, changed.body.limits], [200, limits]);
  const inForce = (await as(system, "manager", "GET", `/api/tokens/${body.id}/limits`)).body.limits;
  assert.deepEqual(inForce, limits);
});

test("403: a developer can tighten limits but not loosen them, for their own tokens and for others of the team", async () => {
  await system.db
    .prepare("UPDATE teams SET limits = ? WHERE id = 'automation'")
    .bind('{"calls_per_minute":60}')
    .run();
  try {
    assert.equal((await create("developer", { limits: { calls_per_minute: 61 } })).status, 403);
    const { id } = (await create("developer", { limits: { calls_per_minute: 30 } })).body;
    const set = async (user, limits) =>
      (await as(system, user, "PUT", `/api/tokens/${id}`, { limits })).status;
    assert.equal(await set("developer", { calls_per_minute: 20, calls_per_day: 100 }), 200);
    for (const looser of [{ calls_per_minute: 21, calls_per_day: 100 }, { calls_per_minute: 20 }, {}, null]) {
      assert.equal(await set("developer", looser), 403, JSON.stringify(looser));
    }
    assert.deepEqual((await as(system, "viewer", "GET", `/api/tokens/${id}`)).body.limits, {
      calls_per_minute: 20,
      calls_per_day: 100,
    });
    assert.equal(await set("manager", { calls_per_minute: 500 }), 200);
    const refused = (
      await as(system, "admin", "GET", `/api/dashboard/audit-logs?entity_id=${id}&result=refused`)
    ).body.items;
    assert.equal(refused.length, 4);
  } finally {
    await system.db.prepare("UPDATE teams SET limits = NULL WHERE id = 'automation'").run();
  }
});

test("a token with unreadable limits is not published, and never without limits", async () => {
  const made = (await create("manager", { limits: { calls_per_minute: 10 } })).body;
  await system.db
    .prepare('UPDATE tokens SET limits = \'{"calls_per_minute":"ten"}\' WHERE id = ?')
    .bind(made.id)
    .run();
  const renamed = await as(system, "manager", "PUT", `/api/tokens/${made.id}`, { name: "renamed" });
  assert.equal(renamed.status, 409, "unreadable limits are not written back");
  await system.db.batch([
    system.db.prepare("UPDATE tokens SET name = 'renamed', version = version + 1 WHERE id = ?").bind(made.id),
    system.db
      .prepare(
        "INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at) VALUES ('obx_x', 'token', ?, 0, 0)",
      )
      .bind(made.id),
  ]);
  await system.cron();
  assert.deepEqual(
    [(await recordOf(made.token)).name, (await recordOf(made.token)).limits],
    ["n8n", { calls_per_minute: 10 }],
  );
  await system.db.prepare("UPDATE tokens SET limits = NULL WHERE id = ?").bind(made.id).run();
});

test("the use of limits comes from the gateway's counter, for people and for the holder", async () => {
  const route = { name: "Echo", path: "/api/counted", backend_url: `${system.upstream.url}/echo` };
  assert.equal((await as(system, "admin", "POST", "/api/routes", route)).status, 201);
  const { id, token } = (
    await create("developer", { scopes: ["counted"], limits: { calls_per_minute: 10, body_bytes: 100 } })
  ).body;
  const uses = async () => (await as(system, "viewer", "GET", `/api/tokens/${id}/limits`)).body.uses;
  const [unused] = await uses();
  assert.deepEqual([unused.kind, unused.limit, unused.used], ["calls-per-minute", 10, 0]);
  let calls = 0;
  await eventually(
    async () =>
      (await system.gateway("/api/counted", { headers: { "x-api-key": token } })).status === 200 &&
      ++calls === 3,
    40_000,
    "three calls",
  );
  assert.deepEqual(
    (await uses()).map((use) => use.used),
    [3],
  );
  const own = await (await system.call("/api/usage/me", { headers: { "x-api-key": token } })).json();
  assert.deepEqual(
    own.uses.map((use) => [use.kind, use.used]),
    [["calls-per-minute", 3]],
  );
  const cleared = await as(system, "manager", "PUT", `/api/tokens/${id}`, { limits: { body_bytes: 100 } });
  assert.equal(cleared.status, 200);
  assert.deepEqual(await uses(), [], "limits that are not counted");
});

test("a manager's disable prevails over an earlier one", async () => {
  const { id } = (await create("developer", { name: "taken over" })).body;
  const set = (user, what) => as(system, user, "POST", `/api/tokens/${id}/${what}`);
  assert.equal((await set("developer", "disable")).body.disabled_by, "user_developer");
  const over = await set("manager", "disable");
  assert.deepEqual([over.status, over.body.disabled_by, over.body.state], [200, "user_manager", "disabled"]);
  assert.equal((await set("developer", "enable")).status, 403);
  const again = await set("developer", "disable");
  assert.deepEqual(
    [again.status, again.body.disabled_by],
    [200, "user_manager"],
    "its maker does not take over again",
  );
  assert.equal((await set("developer", "enable")).status, 403);
  const audit = await as(
    system,
    "admin",
    "GET",
    `/api/dashboard/audit-logs?entity_id=${id}&action=disable-token&result=done`,
  );
  assert.deepEqual(
    audit.body.items.map((entry) => entry.actor),
    ["user_manager", "user_developer"],
  );
  assert.deepEqual(
    [audit.body.items[0].before.disabled_by, audit.body.items[0].after.disabled_by],
    ["user_developer", "user_manager"],
  );
  assert.equal((await set("manager", "enable")).body.state, "active");
  assert.equal((await set("manager", "enable")).status, 200, "repeating it changes nothing");
});

test("an allow-list means the same in either spelling, and entries that would lock everybody out are named", async () => {
  const made = await create("manager", {
    ip_allow: ["::ffff:10.0.0.0/104", "10.1.2.3/8", "::ffff:0:0/96", "2001:db8::1", "::/0"],
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body.ip_allow, ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::1/128", "::/0"]);
  const bad = await create("manager", { ip_allow: ["10.0.0.0/8", "::ffff:0:0/95", "fe80::1%eth0", "::/80"] });
  assert.deepEqual([bad.status, fields(bad)], [422, ["ip_allow.1", "ip_allow.2", "ip_allow.3"]]);
  // An earlier version stored it like this.
  await system.db
    .prepare("UPDATE tokens SET ip_allow = ? WHERE id = ?")
    .bind(JSON.stringify(["::ffff:10.0.0.0/104"]), made.body.id)
    .run();
  const told = async (client_ip) => {
    const { body } = await as(system, "manager", "POST", `/api/tokens/${made.body.id}/explain`, {
      method: "GET",
      path: "/api/openai/x",
      client_ip,
    });
    return body.steps.find((step) => step.step === "client-ip").denial;
  };
  assert.deepEqual(
    [await told("10.1.2.3"), await told("::ffff:10.1.2.3"), await told("11.1.2.3")],
    [null, null, "ip-not-allowed"],
  );
});

test("a response forbids an edge to weaken its tag, and a weakened tag is accepted", async () => {
  const { id } = (await create("manager", { name: "tagged" })).body;
  const got = await as(system, "manager", "GET", `/api/tokens/${id}`);
  assert.match(got.headers.get("cache-control"), /no-transform/);
  const weak = `W/${got.headers.get("etag")}`;
  assert.equal(
    (await as(system, "manager", "PUT", `/api/tokens/${id}`, { name: "weak" }, { "if-match": weak })).status,
    200,
  );
  assert.equal(
    (await as(system, "manager", "PUT", `/api/tokens/${id}`, { name: "late" }, { "if-match": weak })).status,
    412,
  );
});

test("a cap by service also bounds a route of one segment, in the gateway and in the tester", async () => {
  await system.db.prepare("UPDATE teams SET scope_cap = '[\"narrow\"]' WHERE id = 'automation'").run();
  try {
    const route = await as(system, "admin", "POST", "/api/routes", {
      name: "root",
      path: "/api",
      backend_url: `${system.upstream.url}/echo`,
    });
    assert.equal(route.status, 201, JSON.stringify(route.body));
    const made = await create("manager", { name: "capped", scopes: ["/api/narrow/*"] });
    assert.equal(made.status, 201);
    const explained = async () => {
      const { body } = await as(system, "manager", "POST", `/api/tokens/${made.body.id}/explain`, {
        method: "GET",
        path: "/api/narrow/x",
      });
      return [body.allowed, body.steps.find((step) => step.step === "scope").denial];
    };
    const called = () => system.gateway("/api/narrow/x", { headers: { "x-api-key": made.body.token } });
    await eventually(async () => (await called()).status === 403, 15_000, "the gateway's refusal");
    assert.deepEqual(await explained(), [false, "scope"]);
    const own = await as(system, "admin", "POST", "/api/routes", {
      name: "own",
      path: "/api/narrow",
      backend_url: `${system.upstream.url}/echo`,
    });
    assert.equal(own.status, 201);
    assert.deepEqual(await explained(), [true, null]);
    await eventually(async () => (await called()).status === 200, 15_000, "the service's own route");
  } finally {
    await system.db.prepare("UPDATE teams SET scope_cap = NULL WHERE id = 'automation'").run();
  }
});

test("200: a secret's hash finds its token for those who may see it, and the search knows ids and hints", async () => {
  const { body: made } = await as(system, "manager", "POST", "/api/tokens", {
    name: "findable",
    team_id: "automation",
    scopes: ["*"],
    expires_days: 5,
  });
  const hash = createHash("sha256").update(made.token).digest("hex");
  const find = async (user, hash) => (await as(system, user, "POST", "/api/tokens/find", { hash })).body;
  assert.equal((await find("manager", hash)).token.id, made.id);
  assert.deepEqual(await find("manager", "0".repeat(64)), { token: null });
  const { status, body } = await as(system, "manager", "POST", "/api/tokens/find", { hash: made.token });
  assert.deepEqual([status, body.details[0].field], [422, "hash"]);
  assert.ok(!JSON.stringify(body).includes(made.token), "what was sent is not repeated");
  for (const text of [made.id, made.token.slice(0, 12), made.token.slice(0, 8)]) {
    for (const sort of ["name", "-name", "created_at", "-created_at"]) {
      const list = await as(system, "manager", "GET", `/api/tokens?search=${text}&sort=${sort}`);
      assert.ok(
        list.body.items.some((token) => token.id === made.id),
        `${text} ${sort}`,
      );
    }
  }
});
