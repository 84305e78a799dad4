// `/metrics`, as a collector with an API key reads it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
let key;
before(async () => {
  system = await startOnSockets();
  await as(system, "admin", "GET", "/api/me");
  const roles = [{ team_id: "core-team", role: "VIEWER" }];
  key = (await as(system, "admin", "POST", "/api/keys", { name: "collector", roles, read_only: true })).body
    .key;
});
after(() => system?.stop());

const read = (bearer) => system.call("/metrics", { headers: { authorization: `Bearer ${bearer}` } });

/** The samples by family and labels. Fails on a line that is no part of the format. */
function parse(text) {
  const samples = new Map();
  const kinds = new Map();
  assert.ok(text.endsWith("\n"));
  for (const line of text.trimEnd().split("\n")) {
    const [, family, kind] = /^# TYPE (\w+) (gauge|counter)$/.exec(line) ?? [];
    if (family) kinds.set(family, kind);
    if (line.startsWith("#")) continue;
    const [, name, labels, value] = /^(\w+)((?:\{\w+="[^"\n]*"(?:,\w+="[^"\n]*")*\})?) (-?[\d.]+)$/.exec(
      line,
    );
    assert.ok(kinds.has(name), line);
    assert.ok(!samples.has(name + labels), `twice: ${line}`);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

test("health, publication and today's calls are told in Prometheus' format", async () => {
  await putRoutes(system, [["/api/echo", "/echo"]]);
  const token = await putToken(system, { id: "tok_metrics", scopes: ["echo"] });
  const call = (where) => system.gateway(where, { headers: { "x-api-key": token } });
  await eventually(async () => (await call("/api/echo")).status === 200);
  await call("/api/echo/status/503");
  await call("/nothing");
  const samples = await eventually(async () => {
    const response = await read(key);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    const found = parse(await response.text());
    return found.get('token_manager_calls_total{route="",result="denied"}') >= 1 && found;
  });
  const routes = [...samples.keys()].filter((name) => /calls_total.*result="ok"/.test(name));
  assert.ok(
    routes.some((name) => samples.get(name) >= 1),
    routes.join(),
  );
  assert.equal(samples.get('token_manager_health{check="database"}'), 2);
  assert.equal(samples.get("token_manager_publication_pending"), 0);
});

test("a key without a role in the core team reads no metrics", async () => {
  const roles = [{ team_id: "automation", role: "DEVELOPER" }];
  const made = await as(system, "developer", "POST", "/api/keys", { name: "x", roles });
  assert.equal((await read(made.body.key)).status, 403);
  assert.equal((await read("nak_wrong")).status, 401);
});
