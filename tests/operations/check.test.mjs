// The check that follows a deployment, on the local system: it passes if everything works, and names what does not.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => {
  system = await startOnSockets({ ui: true, apiVars: { CANARY_EVERY_MIN: "1" } });
  await system.cron();
  await putRoutes(system, [["/api/demo", "/echo"]]);
});
after(() => system?.stop());

const check = (options) =>
  new Promise((resolve) => {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    execFile(process.execPath, [path.join(root, "scripts/ops/check.mjs"), ...args], (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, text: stdout + stderr }),
    );
  });

test("the local system passes, and a wrong token or a missing part is named", async () => {
  const issued = await system.call("/api/tokens", {
    method: "POST",
    headers: { authorization: `Bearer ${system.jwt("admin")}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "check", team_id: "automation", scopes: ["demo"] }),
  });
  const { token } = await issued.json();
  await eventually(
    async () => (await system.gateway("/api/demo", { headers: { "x-api-key": token } })).status === 200,
  );
  const ui = `http://localhost:${new URL(system.urls.ui).port}`;
  const all = { gateway: system.urls.gateway, api: system.urls.api, ui };
  const well = await check({ ...all, token });
  assert.equal(well.code, 0, well.text);
  assert.match(well.text, /all well/);
  assert.match(
    well.text,
    /by the canary's last run: a new token worked after \d+ ms, a revoked one was refused/,
  );
  const wrong = await check({ ...all, token: await putToken(system, { scopes: ["other"] }) });
  assert.equal(wrong.code, 1);
  assert.match(wrong.text, /FAILED {2}a call through the gateway: answers 403/);
  const missing = await check({ gateway: system.urls.gateway });
  assert.deepEqual([missing.code, /--api is missing/.test(missing.text)], [2, true]);
});
