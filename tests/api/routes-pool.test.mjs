// A pool of credentials by the API of routes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, startSystem } from "../support/harness.mjs";
import { unseal } from "../support/tokens.mjs";

let system;
before(async () => (system = await startSystem()));
after(() => system?.stop());

const create = (user, more) =>
  as(system, user, "POST", "/api/routes", {
    name: "Pool",
    path: "/api/pool",
    backend_url: `${system.upstream.url}/echo`,
    ...more,
  });
const fields = (answer) => (answer.body.details ?? []).map((detail) => detail.field);

test("a pool is set, shown by names, changed member by member, and never shown with a secret", async () => {
  const bearer = (token) => ({ kind: "bearer", token });
  const header = { kind: "header", name: "X-Key", value: "s3cret-value" };
  const made = await create("admin", {
    credential: {
      kind: "pool",
      members: [
        { name: "first", credential: bearer("s3cret-value") },
        { name: "second", credential: header },
      ],
    },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const where = `/api/routes/${made.body.id}`;
  const put = (credential, user = "admin") => as(system, user, "PUT", `${where}/credential`, credential);
  const { kind, pool } = made.body.upstream.credential;
  const named = (...names) => names.map(([name, kind]) => ({ name, kind }));
  assert.deepEqual(
    [kind, pool],
    ["pool", { in_turn: false, members: named(["first", "bearer"], ["second", "header"]) }],
  );
  const changed = await put({
    kind: "pool",
    in_turn: true,
    members: [{ name: "second" }, { name: "third", credential: bearer("s3cret-third") }],
  });
  assert.deepEqual(changed.body.upstream.credential.pool, {
    in_turn: true,
    members: named(["second", "header"], ["third", "bearer"]),
  });
  const sealed = await system.db
    .prepare("SELECT sealed FROM credentials WHERE route_id = ?")
    .bind(made.body.id)
    .first();
  const open = JSON.parse(
    unseal(sealed.sealed, made.body.id, system.upstream.url, system.secrets.CREDENTIAL_KEY),
  );
  assert.deepEqual(open.pool.members, [
    { name: "second", credential: { ...header, prefix: null } },
    { name: "third", credential: bearer("s3cret-third") },
  ]);
  assert.equal(open.value, "s3cret-value", "an older version reads the first");

  const bad = await put({
    kind: "pool",
    members: [{ name: "first" }, { name: "a b", credential: { kind: "bearer", token: "" } }],
  });
  assert.deepEqual(
    [bad.status, fields(bad)],
    [422, ["members.0.credential", "members.1.name", "members.1.credential.token"]],
  );
  assert.equal((await put({ kind: "pool", members: [{ name: "second" }] })).status, 422, "one is no pool");
  assert.equal((await put({ kind: "pool", members: [] }, "developer")).status, 403);
  assert.equal(
    (await create("admin", { credential: { kind: "pool", members: [{ name: "x" }] } })).status,
    422,
  );

  const tried = async (credential) =>
    (await as(system, "admin", "POST", `${where}/test`, { path: "/a", credential })).body;
  assert.equal((await tried("third")).status, 200);
  assert.deepEqual(fields({ body: await tried("first") }), ["credential"], "it is gone");
  const entries = await as(system, "admin", "GET", `/api/dashboard/audit-logs?entity_id=${made.body.id}`);
  assert.ok(JSON.stringify(entries.body).includes('"name":"third"'), "the audit log names it");
  for (const text of [entries.body, (await as(system, "admin", "GET", where)).body])
    assert.doesNotMatch(JSON.stringify(text), /s3cret|v1\./);

  const single = await put(bearer("s3cret-single"));
  assert.deepEqual(
    [single.body.upstream.credential.kind, single.body.upstream.credential.pool],
    ["bearer", undefined],
  );
  assert.doesNotMatch(system.logs(), /s3cret/);
});
