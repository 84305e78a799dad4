// Keys rotated under load, as docs/operations.md promises: the versions before and after each step serve side by side.
import assert from "node:assert/strict";
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { dropped, fingerprint, rotation } from "../../scripts/ops/keys/rotation.mjs";
import { newKey } from "../../scripts/ops/keys/secrets.mjs";
import { as, eventually, startOnSockets } from "../support/harness.mjs";

const KEYS = ["TOKEN_CHECK_KEY", "CREDENTIAL_KEY", "DERIVE_KEY", "USAGE_LOG_KEY"];
const WEBHOOKS = [randomBytes(24), randomBytes(24)];
const webhookSecret = (key) => `whsec_${key.toString("base64")}`;

/** The steps of a rotation of every key at once, as `npm run rotate` sets them one after the other. */
function stepsFrom(present) {
  const fresh = Object.fromEntries(KEYS.map((name) => [name, newKey()]));
  const [accept, lead] = [0, 1].map((step) =>
    Object.fromEntries(KEYS.map((name) => [name, rotation(name, present[name], fresh[name])[step].value])),
  );
  const drop = Object.fromEntries(KEYS.map((name) => [name, dropped(lead[name]).value]));
  const [older, newer] = WEBHOOKS.map(webhookSecret);
  return {
    fresh,
    versions: [
      { name: "accept", vars: { ...accept, CLERK_WEBHOOK_SECRET: older } },
      { name: "lead", vars: { ...lead, CLERK_WEBHOOK_SECRET: newer } },
      { name: "drop", vars: { ...drop, CLERK_WEBHOOK_SECRET: newer } },
    ],
  };
}

let system;
let fresh;
const present = Object.fromEntries(KEYS.map((name) => [name, newKey()]));
before(async () => {
  const steps = stepsFrom(present);
  fresh = steps.fresh;
  const own = { ...present, CLERK_WEBHOOK_SECRET: webhookSecret(WEBHOOKS[0]) };
  system = await startOnSockets({
    faults: true,
    versions: steps.versions,
    gatewayVars: present,
    apiVars: own,
  });
});
after(() => system?.stop());

const ask = (method, where, body) => as(system, "admin", method, where, body);
const make = async (more) =>
  (await ask("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["demo"], ...more })).body;
const route = async (where, credential) =>
  (
    await ask("POST", "/api/routes", {
      name: where,
      path: where,
      backend_url: `${system.upstream.url}/echo`,
      tags: ["demo"],
      credential,
    })
  ).body;
const where = (version) => (version === "main" ? system.urls : system.versions[version]);

test("every secret is rotated under load and not one call fails", { timeout: 120_000 }, async (t) => {
  await route("/api/demo", { kind: "bearer", token: "vendor-key" });
  let { id, token } = await make({ may_derive: true });
  let active = ["main"];
  let logKey = present.USAGE_LOG_KEY;
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  const counts = { gateway: 0, api: 0, minted: 0, derived: 0, reported: 0, webhooks: 0 };
  const wrong = [];
  const expect = async (kind, wanted, response) => {
    counts[kind] += 1;
    const text = await response.text();
    if (response.status !== wanted || (kind === "gateway" && !text.includes("Bearer vendor-key")))
      wrong.push(`${kind} ${response.status} ${text.slice(0, 200)}`);
    return text;
  };
  const tries = {
    gateway: async () =>
      expect(
        "gateway",
        200,
        await fetch(`${where(pick(active)).gateway}/api/demo`, { headers: { "x-api-key": token } }),
      ),
    api: async () =>
      expect(
        "api",
        200,
        await fetch(`${where(pick(active)).api}/api/usage/me`, { headers: { "x-api-key": token } }),
      ),
    // A token that one version makes must be accepted at once by the other.
    minted: async () => {
      const headers = { authorization: `Bearer ${system.jwt("admin")}`, "content-type": "application/json" };
      const made = JSON.parse(
        await expect(
          "minted",
          201,
          await fetch(`${where(pick(active)).api}/api/tokens`, {
            method: "POST",
            headers,
            body: JSON.stringify({ name: "m", team_id: "automation", scopes: ["demo"] }),
          }),
        ),
      );
      await expect(
        "gateway",
        200,
        await fetch(`${where(pick(active)).gateway}/api/demo`, { headers: { "x-api-key": made.token } }),
      );
    },
    // A token that one version derives must be accepted at once by the other.
    derived: async () => {
      const body = new URLSearchParams({
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      });
      const made = JSON.parse(
        await expect(
          "derived",
          200,
          await fetch(`${where(pick(active)).gateway}/token`, {
            method: "POST",
            headers: { "x-api-key": token },
            body,
          }),
        ),
      );
      await expect(
        "gateway",
        200,
        await fetch(`${where(pick(active)).gateway}/api/demo`, {
          headers: { "x-api-key": made.access_token },
        }),
      );
    },
    reported: async () => {
      const body = JSON.stringify({
        token_hash: "0".repeat(64),
        route: "/api/demo",
        timestamp: new Date().toISOString(),
        response_status: 200,
      });
      const at = Math.floor(Date.now() / 1_000);
      const mac = createHmac("sha256", Buffer.from(logKey, "base64")).update(`${at}.${body}`).digest("hex");
      await expect(
        "reported",
        202,
        await fetch(`${where(pick(active)).api}/api/usage-log`, {
          method: "POST",
          headers: { "x-signature": `t=${at},v1=${mac}` },
          body,
        }),
      );
    },
    // While a webhook's secret is rotated, Svix signs with both.
    webhooks: async () => {
      const [svixId, at] = [randomUUID(), String(Math.floor(Date.now() / 1_000))];
      const body = JSON.stringify({ type: "session.created", data: {} });
      const signatures = WEBHOOKS.map(
        (key) => `v1,${createHmac("sha256", key).update(`${svixId}.${at}.${body}`).digest("base64")}`,
      );
      const response = await fetch(`${where(pick(active)).api}/api/webhooks/clerk`, {
        method: "POST",
        headers: { "svix-id": svixId, "svix-timestamp": at, "svix-signature": signatures.join(" ") },
        body,
      });
      await expect("webhooks", 200, response);
    },
  };
  let goesOn = true;
  const load = async (work, pause) => {
    while (goesOn) {
      await work().catch((error) => wrong.push(String(error)));
      await sleep(pause);
    }
  };
  /** A deployment as the edge does it: for a while both versions serve, then only the new one. */
  const deploy = async (version) => {
    active = [...active, version];
    await sleep(1_500);
    active = [version];
    await sleep(500);
  };
  const rotate = async () => {
    await sleep(500);
    await deploy("accept");
    await deploy("lead");
    logKey = fresh.USAGE_LOG_KEY;
    await system.cron("lead");
    const under = async () =>
      (await system.db.prepare("SELECT DISTINCT sealed_under FROM credentials").all()).results.map(
        (row) => row.sealed_under,
      );
    assert.deepEqual(await under(), [fingerprint(fresh.CREDENTIAL_KEY)], "credentials are not sealed again");
    const keys = JSON.parse(
      await system.db.prepare("SELECT value FROM settings WHERE key = 'keys'").first("value"),
    );
    assert.equal(
      keys.CREDENTIAL_KEY,
      `${fingerprint(fresh.CREDENTIAL_KEY)},${fingerprint(present.CREDENTIAL_KEY)}`,
    );
    // The manual step before the old check key is dropped: older tokens get a new secret.
    token = (
      await (
        await fetch(`${where("lead").api}/api/tokens/${id}/rotate`, {
          method: "POST",
          headers: { authorization: `Bearer ${system.jwt("admin")}`, "content-type": "application/json" },
          body: "{}",
        })
      ).json()
    ).token;
    await deploy("drop");
  };
  const loads = [
    load(tries.gateway, 2),
    load(tries.gateway, 2),
    load(tries.api, 20),
    load(tries.minted, 100),
    load(tries.derived, 50),
    load(tries.reported, 50),
    load(tries.webhooks, 100),
  ];
  try {
    await rotate();
  } finally {
    goesOn = false;
    await Promise.all(loads);
  }
  assert.deepEqual(wrong.slice(0, 5), []);
  assert.ok(
    counts.gateway > 200 && Object.values(counts).every((count) => count > 10),
    JSON.stringify(counts),
  );
  t.diagnostic(JSON.stringify(counts));
  // The old keys no longer work.
  const old = await fetch(`${where("drop").gateway}/api/demo`, {
    headers: { "x-api-key": (await make()).token },
  });
  assert.equal(old.status, 401, "a token of the dropped key is still accepted");
});

test("a credential under a lost key is reported and not tried again, and the call is refused", async () => {
  const { id } = await route("/api/lost", { kind: "bearer", token: "vendor-key" });
  await system.db
    .prepare(
      "UPDATE credentials SET sealed = 'v1.AQEBAQEBAQEBAQEB.AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ', sealed_under = '' WHERE route_id = ?",
    )
    .bind(id)
    .run();
  await system.cron("drop");
  const row = await system.db
    .prepare("SELECT sealed_under FROM credentials WHERE route_id = ?")
    .bind(id)
    .first("sealed_under");
  assert.equal(row, `!${fingerprint(fresh.CREDENTIAL_KEY)}`);
  const health = await eventually(
    async () => {
      const { checks } = await (await fetch(`${where("drop").api}/health/detailed`)).json();
      const check = checks.find(({ name }) => name === "credentials");
      return check.status === "degraded" && check;
    },
    15_000,
    "the health page",
  );
  assert.equal(health.note, "1 under a key that is gone");
  await system.db.prepare("DELETE FROM credentials WHERE route_id = ?").bind(id).run();
});
