// A change is in force on the first call after the API has responded, although isolates cache.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, sleep, startOnSockets } from "../support/harness.mjs";

let system;
let upstream;
before(async () => {
  system = await startOnSockets();
  upstream = `${system.upstream.url}/echo`;
  const made = await createRoute("/api/first");
  const { token } = await createToken(["first"]);
  assert.equal(await status(token, "/api/first"), 200, `the very first of all, on ${made.id}`);
});
after(() => system?.stop());

async function api(method, where, body, headers) {
  const response = await as(system, "admin", method, where, body, headers);
  assert.ok(
    response.status < 300 && response.status !== 202,
    `${method} ${where}: ${response.status} ${JSON.stringify(response.body)}`,
  );
  return response.body;
}
const createRoute = (path, more = {}) =>
  api("POST", "/api/routes", { name: path, path, backend_url: upstream, tags: [], ...more });
async function createToken(scopes) {
  const made = await api("POST", "/api/tokens", { name: "first call", team_id: "automation", scopes });
  return made;
}
/** A token in use is cached for up to ten seconds. */
const until = (wanted, token, where) =>
  eventually(async () => (await status(token, where)) === wanted, 11_000, `${where} ${wanted}`);
async function status(token, where, init = {}) {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  await response.arrayBuffer();
  return response.status;
}

test("a new route and a new token work on the first call after the API has answered", async () => {
  const old = await createToken(["*"]);
  assert.equal(await status(old.token, "/api/second"), 404);
  await sleep(1_100);
  await createRoute("/api/second");
  assert.equal(await status(old.token, "/api/second"), 200);
  const { token } = await createToken(["second"]);
  assert.equal(await status(token, "/api/second"), 200);
});

test("several routes created one after the other each work on their first call", async () => {
  const { token } = await createToken(["*"]);
  for (const path of ["/api/a1", "/api/a2", "/api/a3"]) {
    await createRoute(path);
    assert.equal(await status(token, path), 200, path);
  }
});

test("a wider scope, an enabled token and an added method work on the first call", async () => {
  const route = await createRoute("/api/third", { methods: ["GET"] });
  const { id, token } = await createToken(["first"]);
  assert.equal(await status(token, "/api/third"), 403);
  await sleep(1_100);
  await api("PUT", `/api/tokens/${id}`, { scopes: ["first", "third"] });
  assert.equal(await status(token, "/api/third"), 200);
  assert.equal(await status(token, "/api/third", { method: "POST" }), 405);
  await sleep(1_100);
  await api("PUT", `/api/routes/${route.id}`, { methods: ["GET", "POST"] });
  assert.equal(await status(token, "/api/third", { method: "POST" }), 200);
  await api("POST", `/api/tokens/${id}/disable`);
  await until(401, token, "/api/third");
  await sleep(1_100);
  await api("POST", `/api/tokens/${id}/enable`);
  assert.equal(await status(token, "/api/third"), 200);
});

test("a preflight from an origin that has just been listed is answered", async () => {
  const route = await createRoute("/api/fourth");
  const preflight = () =>
    status("", "/api/fourth", {
      method: "OPTIONS",
      headers: { origin: "https://app.example", "access-control-request-method": "GET" },
    });
  assert.equal(await preflight(), 401);
  await sleep(1_100);
  await api("PUT", `/api/routes/${route.id}`, { cors_origins: ["https://app.example"] });
  assert.equal(await preflight(), 204);
});

test("a revoked token stays refused, however often it is used", async () => {
  const { id, token } = await createToken(["first"]);
  assert.equal(await status(token, "/api/first"), 200);
  await api("DELETE", `/api/tokens/${id}`);
  await until(401, token, "/api/first");
  for (let i = 0; i < 5; i++) {
    await sleep(500);
    assert.equal(await status(token, "/api/first"), 401);
  }
});
