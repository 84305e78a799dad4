// Checks every role at every endpoint of /openapi.json against the matrix in that document, which is
// made from `domain::people::role`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOnSockets } from "../support/harness.mjs";
import { mintKey, mintToken, putKey } from "../support/tokens.mjs";

const ROLES = ["VIEWER", "DEVELOPER", "MANAGER", "ADMIN"];
let system;
let document;
let serial = 0;

/** Callers, by their role in core-team, in the subject's team, or in another team. */
const callers = { nobody: {} };
/** Admin API keys of each of them. */
const keys = {};
for (const role of ROLES) {
  callers[`core_${role}`] = { core: role };
  callers[`team_${role}`] = { team: role };
  callers[`other_${role}`] = { other: role };
}

before(async () => {
  system = await startOnSockets();
  const { db } = system;
  await db
    .prepare(
      "INSERT INTO teams (id, name, created_at, updated_at) VALUES ('subject', 'S', 1, 1), ('elsewhere', 'E', 1, 1)",
    )
    .run();
  // Each team has a second ADMIN, so that no refusal is about the last one.
  await db.prepare("INSERT INTO users (id, created_at, updated_at) VALUES ('user_spare', 1, 1)").run();
  for (const team of ["subject", "elsewhere"])
    await db.prepare("INSERT INTO memberships VALUES ('user_spare', ?, 'ADMIN', 1)").bind(team).run();
  const teams = { core: "core-team", team: "subject", other: "elsewhere" };
  for (const [name, roles] of Object.entries(callers)) {
    await db
      .prepare("INSERT INTO users (id, email, created_at, updated_at) VALUES (?, ?, 1, 1)")
      .bind(`user_${name}`, `${name}@example.test`)
      .run();
    for (const [where, role] of Object.entries(roles))
      await db
        .prepare("INSERT INTO memberships VALUES (?, ?, ?, 1)")
        .bind(`user_${name}`, teams[where], role)
        .run();
  }
  const rolesOf = (who) => Object.entries(who).map(([where, role]) => [teams[where], role]);
  const may = ["set-credential", "assign-senior"];
  for (const [name, who] of Object.entries(callers)) {
    const roles = rolesOf(who);
    keys[name] = {
      // With all that its maker may, with less than an ADMIN may, and with all but to look.
      own: await putKey(system, `user_${name}`, roles, { may }),
      narrowed: await putKey(system, "user_core_ADMIN", roles, { may }),
      looking: await putKey(system, `user_${name}`, roles, { may, read_only: 1 }),
      plain: await putKey(system, `user_${name}`, roles),
    };
  }
  document = await (await system.call("/openapi.json")).json();
});
after(() => system?.stop());

const rank = (role) => ROLES.indexOf(role);
const meets = (rule, who) =>
  rule.anyone ||
  (rule.any_team && Object.keys(who).length > 0) ||
  (rule.core && rank(who.core) >= rank(rule.core)) ||
  (rule.team && rank(who.team) >= rank(rule.team)) ||
  false;

/** Makes a record of the subject's team and returns the request for it: `[path, body]`. */
async function subjectOf(method, pattern, operation) {
  const id = `x${serial++}`;
  const { db } = system;
  const body = operation.requestBody?.content["application/json"].example;
  const now = Date.now();
  if (pattern.includes("/tokens/{id}") || pattern === "/api/usage/token/{id}") {
    await db
      .prepare(
        "INSERT INTO tokens (id, name, team_id, scopes, created_by, created_at, updated_at) VALUES (?, 'x', 'subject', '[\"*\"]', 'user_spare', ?, ?)",
      )
      .bind(`tok_${id}`, now, now)
      .run();
    return [
      pattern.replace("{id}", `tok_${id}`),
      pattern.endsWith("/{id}") && method === "PUT" ? { name: "changed" } : body,
    ];
  }
  if (pattern.includes("/routes/{id}")) {
    await db
      .prepare(
        "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES (?, 'x', ?, ?, 1, 1)",
      )
      .bind(`rte_${id}`, `/api/${id}`, `${system.upstream.url}/echo`)
      .run();
    return [pattern.replace("{id}", `rte_${id}`), body];
  }
  if (pattern.includes("/teams/{id}") || pattern === "/api/usage/team/{id}") {
    // This team has members, so its deletion is refused because it is not empty. That
    // refusal comes after the check of the role.
    return [pattern.replace("{id}", "subject"), body];
  }
  if (pattern.includes("/users/{uid}")) {
    await db
      .prepare("INSERT INTO users (id, created_at, updated_at) VALUES (?, 1, 1)")
      .bind(`user_${id}`)
      .run();
    // The person is in both teams, so that every caller who is in one sees them.
    if (method !== "POST")
      await db.prepare("INSERT INTO memberships VALUES (?, 'subject', 'VIEWER', 1)").bind(`user_${id}`).run();
    await db
      .prepare("INSERT INTO teams (id, name, created_at, updated_at) VALUES (?, 't', 1, 1)")
      .bind(`t-${id}`)
      .run();
    if (method === "POST") await shareTeam(`user_${id}`, `t-${id}`);
    const where = pattern.replace("{uid}", `user_${id}`).replace("{team}", "subject");
    return [
      where,
      method === "PUT"
        ? { team_id: "subject", role: "DEVELOPER" }
        : method === "POST"
          ? { team_id: "subject", role: "VIEWER" }
          : undefined,
    ];
  }
  if (pattern.includes("/keys/{id}")) {
    await db
      .prepare(
        "INSERT INTO api_keys (id, name, made_by, roles, created_at, expires_at) VALUES (?, 'x', 'user_spare', '[]', ?, ?)",
      )
      .bind(`key_${id}`, now, now + 1e9)
      .run();
    return [pattern.replace("{id}", `key_${id}`), body];
  }
  if (pattern.includes("/prices/{model}")) {
    await db
      .prepare(
        "INSERT INTO ai_prices (model, effective_at, prompt_micros, completion_micros, source) VALUES (?, 1, 1, 1, 'x')",
      )
      .bind(id)
      .run();
    return [pattern.replace("{model}", id), body];
  }
  if (pattern.includes("/channels/{id}")) {
    await db
      .prepare(
        "INSERT INTO channels (id, name, team_id, kind, address, sealed, sealed_under, events, thresholds, language, created_at, updated_at) VALUES (?, 'x', 'subject', 'slack', '', 'v1.x.x', '', '[]', '[]', 'en', 1, 1)",
      )
      .bind(`chn_${id}`)
      .run();
    return [pattern.replace("{id}", `chn_${id}`), body];
  }
  if (pattern.includes("/invitations/{id}")) {
    await db.batch([
      db
        .prepare(
          "INSERT INTO invitations (id, email, invited_by, created_at, expires_at) VALUES (?, ?, 'user_spare', ?, ?)",
        )
        .bind(`inv_${id}`, `${id}@example.test`, now, now + 1e9),
      db.prepare("INSERT INTO invitation_teams VALUES (?, 'subject', 'VIEWER')").bind(`inv_${id}`),
    ]);
    return [pattern.replace("{id}", `inv_${id}`), body];
  }
  if (pattern === "/api/tokens" && method === "POST")
    return [pattern, { ...body, team_id: "subject", scopes: ["*"] }];
  if (pattern === "/api/channels" && method === "POST") return [pattern, { ...body, team_id: "subject" }];
  if (pattern === "/api/routes" && method === "POST")
    return [pattern, { name: "x", path: `/api/${id}`, backend_url: `${system.upstream.url}/echo` }];
  if (pattern === "/api/teams" && method === "POST") return [pattern, { ...body, id: `t-${id}` }];
  if (pattern === "/api/invitations" && method === "POST")
    return [pattern, { email: `${id}@example.test`, teams: [{ team_id: "subject", role: "VIEWER" }] }];
  if (pattern === "/api/usage/route") {
    await db
      .prepare(
        "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES (?, 'x', ?, 'https://x.example/', 1, 1)",
      )
      .bind(`rte_${id}`, `/api/${id}`)
      .run();
    return [`${pattern}?route_path=/api/${id}`, body];
  }
  return [pattern, body];
}

/** Adds a person and all members of the subject's team to another team, so that all of them see the person. */
async function shareTeam(user, team) {
  await system.db.prepare("INSERT INTO memberships VALUES (?, ?, 'VIEWER', 1)").bind(user, team).run();
  for (const name of Object.keys(callers))
    await system.db
      .prepare(
        "INSERT OR IGNORE INTO memberships SELECT ?, ?, 'VIEWER', 1 WHERE EXISTS (SELECT 1 FROM memberships WHERE user_id = ? AND team_id = 'subject')",
      )
      .bind(`user_${name}`, team, `user_${name}`)
      .run();
  await system.db
    .prepare(
      "UPDATE api_keys SET roles = json_insert(roles, '$[#]', json_object('team', ?, 'role', 'VIEWER')) WHERE roles LIKE '%\"subject\"%'",
    )
    .bind(team)
    .run();
}

const call = async (method, where, body, authorization) => {
  const response = await system.call(where, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: { "content-type": "application/json", ...(authorization && { authorization }) },
  });
  const text = await response.text();
  return { status: response.status, code: text.startsWith("{") ? JSON.parse(text).code : undefined };
};

/** Lists and reports that respond to everybody who is signed in, with the rows that they may see, often none. */
const SHOWS_WHAT_ONE_SEES = new Set([
  "GET /api/tokens",
  "POST /api/tokens/find",
  "GET /api/routes",
  "GET /api/teams",
  "GET /api/channels",
  "GET /api/users",
  "GET /api/invitations",
  "GET /api/keys",
  "GET /api/notifications",
  "GET /api/usage/stats",
  "GET /api/usage/explore",
  "GET /api/usage/tokens",
  "GET /api/usage/events",
  "GET /api/usage/labels",
  "GET /api/usage/export",
  "GET /api/dashboard/overview",
  "GET /api/dashboard/home",
  "GET /api/stats",
]);
const operations = () =>
  Object.entries(document.paths).flatMap(([pattern, methods]) =>
    Object.entries(methods).map(([method, operation]) => [method.toUpperCase(), pattern, operation]),
  );

/** Tries every endpoint as every caller. `bearer` is their proof of identity, `opens` what it leaves them. */
async function walk(bearer, opens) {
  let checked = 0;
  for (const [method, pattern, operation] of operations()) {
    const access = operation["x-access"];
    if (!access) continue;
    for (const [name, who] of Object.entries(callers)) {
      const [where, body] = await subjectOf(method, pattern, operation);
      const answer = await call(method, where, body, `Bearer ${bearer(name)}`);
      const what = `${name}: ${method} ${pattern} -> ${answer.status} ${answer.code}`;
      checked++;
      assert.ok(answer.status < 500, what);
      const isOpen = opens(method, pattern, access);
      if (isOpen && (meets(access.may, who) || SHOWS_WHAT_ONE_SEES.has(`${method} ${pattern}`))) {
        assert.ok(![401, 403, 404].includes(answer.status), `should be allowed: ${what}`);
      } else if (
        isOpen &&
        pattern.startsWith("/api/dashboard/audit-logs") &&
        rank(who.team ?? who.other) >= rank(access.may.team)
      ) {
        assert.equal(answer.status, 200, `the own team's entries: ${what}`);
      } else {
        assert.equal(answer.status, meets(access.sees, who) ? 403 : 404, `should be refused: ${what}`);
      }
    }
  }
  assert.ok(checked > 600, `${checked} calls`);
}

test("every endpoint treats every role as the matrix says", { timeout: 300_000 }, () =>
  walk(system.jwt, () => true),
);

/** Requests other than GET that change nothing. */
const LOOKS = ["/api/tokens/{id}/explain", "/api/tokens/find", "/api/config"];
const NEVER = (method, pattern, access) => access.by_key !== "never";

test("a key with all its maker's roles and powers opens the same, except keys", { timeout: 300_000 }, () =>
  walk((name) => keys[name].own, NEVER),
);

test("an ADMIN's key with other roles opens what those roles open", { timeout: 300_000 }, () =>
  walk((name) => keys[name].narrowed, NEVER),
);

test("a read-only key opens only what changes nothing", { timeout: 300_000 }, () =>
  walk(
    (name) => keys[name].looking,
    (method, pattern, access) => access.by_key === "read" && (method === "GET" || LOOKS.includes(pattern)),
  ),
);

test("a key without powers opens no endpoint that needs one", { timeout: 300_000 }, () =>
  walk(
    (name) => keys[name].plain,
    (method, pattern, access) => ["read", "change"].includes(access.by_key),
  ),
);

test(
  "a dry run treats every role as the change does, and leaves no trace",
  { timeout: 300_000 },
  async () => {
    const traces = async () =>
      (
        await system.db
          .prepare(
            "SELECT (SELECT count(*) FROM audit) AS entries, (SELECT count(*) FROM outbox) AS due, (SELECT sum(version) FROM tokens) AS tokens, (SELECT sum(version) FROM routes) AS routes, (SELECT sum(version) FROM teams) AS teams",
          )
          .all()
      ).results[0];
    const tries = operations().filter(([, , { parameters }]) =>
      parameters.some((parameter) => parameter.$ref === "#/components/parameters/dry-run"),
    );
    assert.equal(tries.length, 8, "token: five, route: two, team: one");
    for (const [method, pattern, operation] of tries) {
      const access = operation["x-access"];
      for (const [name, who] of Object.entries(callers)) {
        const [where, body] = await subjectOf(method, pattern, operation);
        const before = await traces();
        const answer = await call(method, `${where}?dry_run=true`, body, `Bearer ${system.jwt(name)}`);
        const may = meets(access.may, who);
        const status = may ? 200 : meets(access.sees, who) ? 403 : 404;
        assert.equal(answer.status, status, `${name}: ${method} ${pattern} -> ${answer.code}`);
        assert.deepEqual(await traces(), before, `${name}: ${method} ${pattern}`);
      }
    }
  },
);

test("without a valid session every protected endpoint is 401", { timeout: 120_000 }, async () => {
  const sessions = {
    none: undefined,
    expired: `Bearer ${system.jwt("core_ADMIN", { expiresIn: -60 })}`,
    "another issuer": `Bearer ${system.jwt("core_ADMIN", { claims: { iss: "https://evil.example" } })}`,
    "another azp": `Bearer ${system.jwt("core_ADMIN", { claims: { azp: "https://evil.example" } })}`,
    "alg none": `Bearer ${system.jwt("core_ADMIN", { alg: "none" })}`,
    "a key that was never made": `Bearer ${mintKey(system.secrets.TOKEN_CHECK_KEY)}`,
    "a key with a false check": `Bearer ${keys.core_ADMIN.own.slice(0, -6)}000000`,
    "a token": `Bearer ${mintToken(system.secrets.TOKEN_CHECK_KEY)}`,
    "HS256 with the public key": `Bearer ${system.jwt("core_ADMIN", { alg: "HS256" })}`,
  };
  for (const [method, pattern, operation] of operations()) {
    if (!operation["x-access"]) continue;
    const where = pattern.replace(/\{\w+\}/g, "x");
    for (const [what, authorization] of Object.entries(sessions)) {
      const answer = await call(
        method,
        where,
        operation.requestBody?.content["application/json"].example,
        authorization,
      );
      assert.equal(answer.status, 401, `${what}: ${method} ${pattern}`);
      assert.equal(
        answer.code,
        what === "expired" ? "session-expired" : "unauthenticated",
        `${what}: ${method} ${pattern}`,
      );
    }
  }
});

test("only a fixed list of endpoints requires no session", () => {
  const open = operations()
    .filter(([, , operation]) => !operation["x-access"])
    .map(([method, pattern]) => `${method} ${pattern}`);
  assert.deepEqual(
    open.sort(),
    [
      "GET /api/usage/me",
      "GET /api/usage/test-data",
      "GET /config.schema.json",
      "GET /docs",
      "GET /health",
      "GET /health/detailed",
      "GET /openapi.json",
      "POST /api/usage-log",
      "POST /api/webhooks/clerk",
    ].sort(),
  );
});
