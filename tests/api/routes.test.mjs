import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, startSystem } from "../support/harness.mjs";
import { makeAccount } from "../support/service-account.mjs";
import { ROLE } from "../support/sts.mjs";

let system;
before(async () => (system = await startSystem()));
after(() => system?.stop());

let counter = 0;
const good = (more = {}) => ({
  name: "Echo",
  path: `/api/r${counter++}`,
  backend_url: "https://api.example.com/v1",
  tags: ["ai"],
  ...more,
});
const create = (user, more) => as(system, user, "POST", "/api/routes", good(more));
const fields = (answer) => (answer.body.details ?? []).map((detail) => detail.field);

const oauth2 = {
  kind: "oauth2_client_credentials",
  token_url: "https://login.example.com/token",
  client_id: "c",
  client_secret: "s3cret-value",
};
const aws = {
  kind: "aws_sigv4",
  access_key_id: "AKIDEXAMPLE",
  secret_access_key: "s3cret-value",
  region: "eu-west-1",
  service: "s3",
};
const google = (token_uri, more) => ({
  kind: "google_service_account",
  key_file: makeAccount(token_uri, { project_id: "s3cret-value", ...more }).key_file,
});
const newer = [
  {
    kind: "headers",
    headers: [
      { name: "X-Account", value: "s3cret-value" },
      { name: "X-Key", value: "s3cret-value" },
    ],
  },
  { ...oauth2, scope: "read", audience: "api", client_auth: "body" },
  { ...aws, session_token: "s3cret-value" },
  { ...aws, role: { arn: ROLE, external_id: "team:a/1", sts_url: "https://minio.example.com" } },
  { ...google("https://oauth2.googleapis.com/token"), scope: "read", subject: "a@b.example" },
];

test("201: a route with a credential is made and shows neither secret nor seal", async () => {
  for (const credential of [
    { kind: "bearer", token: "s3cret-value" },
    { kind: "header", name: "X-Key", prefix: "Key ", value: "s3cret-value" },
    { kind: "basic", username: "u", password: "s3cret-value" },
    { kind: "query", parameter: "key", value: "s3cret-value" },
    ...newer,
  ]) {
    const made = await create("admin", { credential });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual(
      [made.body.upstream.credential.kind, made.body.upstream.credential.origin],
      [credential.kind, "https://api.example.com"],
    );
    assert.doesNotMatch(JSON.stringify(made.body), /s3cret-value|v1\./);
    const row = await system.db
      .prepare("SELECT sealed FROM credentials WHERE route_id = ?")
      .bind(made.body.id)
      .first();
    assert.doesNotMatch(row.sealed, /s3cret/);
  }
});

test("200: only the core team sees upstreams and credentials", async () => {
  const made = await create("admin", { credential: { kind: "bearer", token: "x" } });
  for (const [user, sees] of /** @type {any[][]} */ ([
    ["admin", true],
    ["manager", false],
    ["viewer", false],
  ])) {
    const got = await as(system, user, "GET", `/api/routes/${made.body.id}`);
    assert.equal(got.status, 200);
    assert.equal(got.body.upstream !== undefined, sees, user);
    assert.equal(JSON.stringify(got.body).includes("api.example.com"), sees, user);
  }
  assert.equal((await as(system, "newcomer", "GET", `/api/routes/${made.body.id}`)).status, 404);
});

test("403: only the core team changes routes", async () => {
  const made = await create("admin");
  assert.equal((await create("manager")).status, 403);
  assert.equal(
    (await as(system, "manager", "PUT", `/api/routes/${made.body.id}`, { name: "x" })).status,
    403,
  );
  assert.equal((await as(system, "manager", "DELETE", `/api/routes/${made.body.id}`)).status, 403);
  assert.equal(
    (
      await as(system, "developer", "PUT", `/api/routes/${made.body.id}/credential`, {
        kind: "bearer",
        token: "x",
      })
    ).status,
    403,
  );
});

test("422: every bad field is named and nothing is written", async () => {
  const count = async () => (await system.db.prepare("SELECT count(*) AS n FROM routes").first()).n;
  const before = await count();
  for (const [more, field] of [
    [{ name: "" }, "name"],
    [{ path: "api/x" }, "path"],
    [{ path: "/a/../b" }, "path"],
    [{ path: "/health" }, "path"],
    [{ path: undefined }, "path"],
    [{ backend_url: "file:///etc/passwd" }, "backend_url"],
    [{ backend_url: "https://u:p@api.example.com" }, "backend_url"],
    [{ backend_url: 5 }, "backend_url"],
    [{ tags: ["a b"] }, "tags.0"],
    [{ methods: ["G3T"] }, "methods.0"],
    [{ timeout_ms: 0 }, "timeout_ms"],
    [{ cors_origins: ["https://a.example/path"] }, "cors_origins.0"],
    [{ credential: { kind: "bearer", token: "" } }, "credential.token"],
    [{ credential: { kind: "header", name: "Host", value: "x" } }, "credential.name"],
    [{ credential: { kind: "headers", headers: [] } }, "credential.headers"],
    [{ credential: { kind: "headers", headers: [{ name: "Host", value: "x" }] } }, "credential.headers"],
    [
      {
        credential: {
          kind: "headers",
          headers: [
            { name: "A", value: "x" },
            { name: "a", value: "y" },
          ],
        },
      },
      "credential.headers",
    ],
    [{ credential: { ...oauth2, token_url: "ftp://login.example.com" } }, "credential.token_url"],
    [{ credential: { ...oauth2, client_id: "" } }, "credential.client_id"],
    [{ credential: { ...oauth2, client_secret: "a\nb" } }, "credential.client_secret"],
    [{ credential: { ...oauth2, scope: "" } }, "credential.scope"],
    [{ credential: { ...oauth2, audience: "é" } }, "credential.audience"],
    [{ credential: { ...google("ftp://oauth2.googleapis.com/token") } }, "credential.key_file"],
    [{ credential: { ...google("https://l.example", { type: "authorized_user" }) } }, "credential.key_file"],
    [{ credential: { ...google("https://l.example", { private_key: "x" }) } }, "credential.key_file"],
    [{ credential: { ...google("https://l.example"), subject: "" } }, "credential.subject"],
    [{ credential: { ...aws, access_key_id: "a b" } }, "credential.access_key_id"],
    [{ credential: { ...aws, secret_access_key: "" } }, "credential.secret_access_key"],
    [{ credential: { ...aws, session_token: "é" } }, "credential.session_token"],
    [{ credential: { ...aws, region: "EU" } }, "credential.region"],
    [{ credential: { ...aws, service: "" } }, "credential.service"],
    [{ credential: { ...aws, role: { arn: "arn:aws:iam::1:user/x" } } }, "credential.role.arn"],
    [{ credential: { ...aws, role: { arn: ROLE, external_id: "a b" } } }, "credential.role.external_id"],
    [{ credential: { ...aws, role: { arn: ROLE, session_name: "a/b" } } }, "credential.role.session_name"],
    [
      { credential: { ...aws, role: { arn: ROLE, sts_url: "ftp://sts.example" } } },
      "credential.role.sts_url",
    ],
    [{ credential: { ...aws, role: { arn: ROLE, policy: "{}" } } }, "credential.role.policy"],
    [{ settings: { ai: { provider: "anthropic", include_usage: true } } }, "settings.ai.include_usage"],
    [{ settings: { ai: { provider: "magic" } } }, "settings.ai.provider"],
    [{ settings: { maintenance: { message: "", retry_after_s: 5 } } }, "settings.maintenance.message"],
    [{ settings: { maintenance: { message: "x", retry_after_s: 0 } } }, "settings.maintenance.retry_after_s"],
    [{ settings: { failover: { route_id: "rte_nowhere" } } }, "settings.failover.route_id"],
    [
      { settings: { failover: { route_id: "r", models: { "gpt-4o": "" } } } },
      "settings.failover.models.gpt-4o",
    ],
    [{ settings: { failover: { route_id: "r", models: { o3: 7 } } } }, "settings.failover.models.o3"],
    [{ settings: { retry_within_s: 31 } }, "settings.retry_within_s"],
    [{ settings: { magic: 1 } }, "settings.magic"],
    [{ surprise: 1 }, "surprise"],
  ]) {
    const answer = await create("admin", more);
    assert.equal(answer.status, 422, `${JSON.stringify(more)}: ${JSON.stringify(answer.body)}`);
    assert.ok(fields(answer).includes(field), `${field} in ${JSON.stringify(answer.body.details)}`);
  }
  const magic = await create("admin", { credential: { kind: "magic" } });
  assert.equal(magic.status, 422);
  assert.ok(fields(magic)[0].startsWith("credential"), JSON.stringify(magic.body));
  assert.equal(await count(), before);
});

test("422: outside local development upstreams must be public and https", async () => {
  const strict = await startSystem({ apiVars: { ALLOW_INSECURE_UPSTREAMS: "false" } });
  try {
    for (const backend_url of [
      "http://api.example.com",
      "http://127.0.0.1",
      "https://127.0.0.1",
      "https://169.254.169.254/latest",
      "https://[::1]/",
      "https://localhost",
      "https://db.internal",
    ]) {
      const answer = await as(strict, "admin", "POST", "/api/routes", good({ backend_url }));
      assert.deepEqual([answer.status, fields(answer)], [422, ["backend_url"]], backend_url);
      const credential = google(`${backend_url}/token`);
      const by = await as(strict, "admin", "POST", "/api/routes", good({ credential }));
      assert.deepEqual([by.status, fields(by)], [422, ["credential.key_file"]], `token_uri: ${backend_url}`);
    }
  } finally {
    await strict.stop();
  }
});

test("a host in Unicode is stored in Punycode, and refused if it means a private one", async () => {
  const token_url = "https://bücher.example/token";
  const made = await create("admin", {
    backend_url: "https://Bu\u0308cher。example/ä",
    credential: { ...oauth2, token_url },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body.upstream.backend_url, "https://xn--bcher-kva.example/%C3%A4");
  assert.equal(made.body.upstream.credential.origin, "https://xn--bcher-kva.example");
  const at = `/api/routes/${made.body.id}`;
  const moved = await as(system, "admin", "PUT", at, { backend_url: "https://münchen.example" });
  assert.equal(moved.body.upstream.backend_url, "https://xn--mnchen-3ya.example/");
  const credential = await as(system, "admin", "PUT", `${at}/credential`, { ...oauth2, token_url });
  assert.equal(credential.status, 200, JSON.stringify(credential.body));
  const kv = { routes: { [`/api/r${counter++}`]: { url: "https://bücher.example/v1" } } };
  const imported = await as(system, "admin", "POST", "/api/import", { mode: "check", kv, tables: {} });
  assert.deepEqual([imported.body.created, imported.body.refused], [1, 0], JSON.stringify(imported.body));
  const strict = await startSystem({ apiVars: { ALLOW_INSECURE_UPSTREAMS: "false" } });
  try {
    const backend_url = "https://１２７。０。０。１";
    const answer = await as(strict, "admin", "POST", "/api/routes", good({ backend_url }));
    assert.deepEqual([answer.status, fields(answer)], [422, ["backend_url"]]);
  } finally {
    await strict.stop();
  }
});

test("409: a path belongs to one route", async () => {
  const made = await create("admin");
  const twice = await create("admin", { path: made.body.path });
  assert.deepEqual([twice.status, fields(twice)], [409, ["path"]]);
});

/** Parity faults 2 and 11: a repointed route kept its secret; a change of type dropped it. */
test("a change of origin drops the credential and says so; any other change keeps it", async () => {
  const made = await create("admin", { credential: { kind: "bearer", token: "x" } });
  const update = (change) => as(system, "admin", "PUT", `/api/routes/${made.body.id}`, change);
  const kept = await update({ backend_url: "https://api.example.com/v2", name: "Renamed" });
  assert.equal(kept.body.upstream.credential?.kind, "bearer");
  const moved = await update({ backend_url: "https://evil.example.com/v2" });
  assert.deepEqual(
    [moved.status, moved.body.credential_dropped, moved.body.upstream.credential],
    [200, true, null],
  );
  const published = JSON.parse(await system.kv.get("routes")).routes.find(
    (route) => route.id === made.body.id,
  );
  assert.equal(published.credential, undefined);
  assert.equal(published.url, "https://evil.example.com/v2");
});

test("403: callers who may not set a credential cannot remove one by repointing the route", async () => {
  const made = await create("admin", { credential: { kind: "bearer", token: "x" } });
  await system.db
    .prepare("INSERT INTO memberships VALUES ('user_newcomer', 'core-team', 'DEVELOPER', 0)")
    .run();
  try {
    const update = (change) => as(system, "newcomer", "PUT", `/api/routes/${made.body.id}`, change);
    assert.equal((await update({ name: "Renamed" })).status, 200);
    assert.equal((await update({ backend_url: "https://evil.example.com" })).status, 403);
    const route = await as(system, "admin", "GET", `/api/routes/${made.body.id}`);
    assert.deepEqual(
      [route.body.upstream.credential.kind, route.body.upstream.backend_url],
      ["bearer", "https://api.example.com/v1"],
    );
  } finally {
    await system.db.prepare("DELETE FROM memberships WHERE user_id = 'user_newcomer'").run();
  }
});

test("a credential is set and cleared; 412 guards a route too", async () => {
  const made = await create("admin");
  const where = `/api/routes/${made.body.id}`;
  const set = await as(system, "admin", "PUT", `${where}/credential`, {
    kind: "basic",
    username: "u",
    password: "p",
  });
  assert.deepEqual([set.status, set.body.upstream.credential.kind], [200, "basic"]);
  const stale = await as(system, "admin", "PUT", where, { name: "x" }, { "if-match": '"1"' });
  assert.equal(stale.status, 412);
  const cleared = await as(system, "admin", "DELETE", `${where}/credential`);
  assert.deepEqual([cleared.status, cleared.body.upstream.credential], [200, null]);
});

test("each kind of credential is set and never shown, not even in the audit log", async () => {
  const made = await create("admin");
  for (const credential of newer) {
    const set = await as(system, "admin", "PUT", `/api/routes/${made.body.id}/credential`, credential);
    assert.deepEqual(
      [set.status, set.body.upstream.credential.kind],
      [200, credential.kind],
      JSON.stringify(set.body),
    );
    const bad = await as(system, "admin", "PUT", `/api/routes/${made.body.id}/credential`, {
      ...credential,
      surprise: 1,
    });
    assert.equal(bad.status, 422);
    for (const where of [
      `/api/routes/${made.body.id}`,
      `/api/dashboard/audit-logs?entity_id=${made.body.id}`,
    ]) {
      assert.doesNotMatch(
        JSON.stringify((await as(system, "admin", "GET", where)).body),
        /s3cret-value|v1\./,
      );
    }
  }
  assert.doesNotMatch(system.logs(), /s3cret-value/);
});

test("settings are kept, published and cleared; everybody who sees a route sees that it is closed", async () => {
  const second = await create("admin");
  const settings = {
    ai: { provider: "openai", include_usage: true },
    failover: { route_id: second.body.id, any_method: true, models: { "gpt-4o": "our-4o" } },
    retry_within_s: 20,
    retry_any_method: true,
    maintenance: { message: "Back at noon", retry_after_s: 3_600 },
  };
  const made = await create("admin", { settings });
  assert.deepEqual([made.status, made.body.upstream?.settings], [201, settings], JSON.stringify(made.body));
  const published = async () =>
    JSON.parse(await system.kv.get("routes")).routes.find((route) => route.id === made.body.id);
  assert.deepEqual((await published()).settings, settings);
  const seen = (await as(system, "viewer", "GET", `/api/routes/${made.body.id}`)).body;
  assert.deepEqual([seen.maintenance, seen.upstream], [settings.maintenance, undefined]);
  const itself = await as(system, "admin", "PUT", `/api/routes/${made.body.id}`, {
    settings: { failover: { route_id: made.body.id } },
  });
  assert.deepEqual([itself.status, fields(itself)], [422, ["settings.failover.route_id"]]);

  const used = await as(system, "admin", "DELETE", `/api/routes/${second.body.id}`);
  assert.equal(used.status, 409);
  assert.ok(used.body.details[0].message.includes(made.body.path), JSON.stringify(used.body));
  const renamed = await as(system, "admin", "PUT", `/api/routes/${made.body.id}`, { name: "Renamed" });
  assert.deepEqual(renamed.body.upstream.settings, settings);
  const cleared = await as(system, "admin", "PUT", `/api/routes/${made.body.id}`, { settings: {} });
  assert.deepEqual(
    [cleared.body.upstream.settings, cleared.body.maintenance, (await published()).settings],
    [{}, undefined, undefined],
  );
  assert.equal((await as(system, "admin", "DELETE", `/api/routes/${second.body.id}`)).status, 200);
});

test("a disabled or deleted route is not published, and the table's version only grows", async () => {
  const version = async () => JSON.parse(await system.kv.get("routes")).version;
  const made = await create("admin");
  const first = await version();
  const isPublished = async () =>
    JSON.parse(await system.kv.get("routes")).routes.some((route) => route.id === made.body.id);
  assert.ok(await isPublished());
  await as(system, "admin", "PUT", `/api/routes/${made.body.id}`, { enabled: false });
  assert.ok(!(await isPublished()));
  assert.equal((await as(system, "admin", "DELETE", `/api/routes/${made.body.id}`)).status, 200);
  assert.ok((await version()) > first);
  assert.equal((await as(system, "admin", "GET", `/api/routes/${made.body.id}`)).status, 404);
});

test("calls may use a second upstream's credential, so naming it requires the permission to set one", async () => {
  await system.db
    .prepare("INSERT OR IGNORE INTO users (id, created_at, updated_at) VALUES ('user_core_dev', 1, 1)")
    .run();
  await system.db
    .prepare("INSERT OR IGNORE INTO memberships VALUES ('user_core_dev', 'core-team', 'DEVELOPER', 1)")
    .run();
  const make = async (user, name, more = {}) =>
    as(system, user, "POST", "/api/routes", {
      name,
      path: `/api/${name}`,
      backend_url: `${system.upstream.url}/echo`,
      ...more,
    });
  const keyed = (await make("admin", "lender", { credential: { kind: "bearer", token: "lent" } })).body.id;
  const bare = (await make("admin", "bare-second")).body.id;
  const over = (route_id, more) => ({ settings: { failover: { route_id, ...more } } });
  assert.equal((await make("core_dev", "borrower", over(keyed))).status, 403);
  const own = (await make("core_dev", "borrower", over(bare))).body.id;
  assert.ok(own);
  const put = (user, change) => as(system, user, "PUT", `/api/routes/${own}`, change);
  assert.equal((await put("core_dev", over(keyed))).status, 403);
  assert.equal((await put("admin", over(keyed))).status, 200);
  assert.equal(
    (await put("core_dev", { ...over(keyed), description: "as it was" })).status,
    200,
    "the existing second upstream may stay",
  );
  assert.equal((await put("core_dev", over(keyed, { any_method: true }))).status, 403);
});
