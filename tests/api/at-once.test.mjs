// Two people at once: whatever comes between the look and the deed of another, neither undoes what they did not see.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, sleep, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => (system = await startOnSockets()));
after(() => system?.stop());

const change = (method, where, body) => as(system, "admin", method, where, body);
/** How long each question to the database takes. */
const QUESTION_MS = 80;
/** How much earlier the second deed begins than the first, so that it ends between two questions of it. */
const LEADS = Array.from({ length: 9 }, (_, i) => (i * QUESTION_MS) / 4);

/** Does both deeds, the second one `lead` ms earlier, and returns their responses. */
async function both(first, second, lead) {
  await system.faults("api", { db: { delay_ms: QUESTION_MS } });
  const begun = second();
  await sleep(lead);
  const responses = await Promise.all([first(), begun]);
  await system.faults("api", { db: null });
  return responses;
}

test("the end of old secrets never ends the secret of a rotation meanwhile", async () => {
  for (const lead of LEADS) {
    const token = await change("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] });
    const where = `/api/tokens/${token.body.id}`;
    const rotate = (grace_hours) => change("POST", `${where}/rotate`, { grace_hours });
    const old = await rotate(24);
    assert.ok([201, 202].includes(old.status), JSON.stringify(old.body));
    const [, rotated] = await both(
      () => change("POST", `${where}/end-secrets`),
      () => rotate(1),
      lead,
    );
    const { items } = (await change("GET", `${where}/secrets`)).body;
    if ([201, 202].includes(rotated.status))
      assert.equal(items[0].ends_at, null, `the newest, a lead of ${lead} ms`);
  }
});

test("credentials that are kept never come to another origin that is set meanwhile", async () => {
  const member = (name) => ({ name, credential: { kind: "bearer", token: `vendor-${name}` } });
  const pool = (members) => ({ kind: "pool", members });
  const [here, there] = [`${system.upstream.url}/echo`, "https://other.example/"];
  const made = await change("POST", "/api/routes", { name: "r", path: "/api/r", backend_url: here });
  const where = `/api/routes/${made.body.id}`;
  const kept = pool([{ name: "a" }, { name: "b" }]);
  for (const lead of LEADS) {
    assert.equal((await change("PUT", where, { backend_url: here })).status, 200);
    const set = await change("PUT", `${where}/credential`, pool([member("a"), member("b")]));
    assert.equal(set.status, 200, JSON.stringify(set.body));
    await both(
      () => change("PUT", `${where}/credential`, kept),
      () => change("PUT", where, { backend_url: there }),
      lead,
    );
    const { upstream } = (await change("GET", where)).body;
    if (upstream.backend_url === there) assert.equal(upstream.credential, null, `a lead of ${lead} ms`);
  }
});
