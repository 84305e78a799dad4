// One timer watches over all calls that wait for an upstream. It belongs to one of them and wakes the others, so what
// comes at that very moment must not be lost.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { ensureNginx } from "../../scripts/setup.mjs";
import { eventually, freePorts, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

/** The timer fires once a second. */
const FOR_MS = 20_000;

let system;
let nginx;
const folder = mkdtempSync(path.join(tmpdir(), "watchdog-"));
before(async () => {
  // An upstream whose responses come within the moment in which the platform passes news between calls.
  const [port] = await freePorts(1);
  const server = `server { listen 127.0.0.1:${port}; location / { return 200 '{}'; } }`;
  const config = `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr;
    events { worker_connections 64; }
    http { access_log off; keepalive_timeout 1h; keepalive_requests 1000000; client_body_temp_path ${folder}/body; ${server} }`;
  writeFileSync(path.join(folder, "nginx.conf"), config);
  const args = ["-p", folder, "-c", path.join(folder, "nginx.conf")];
  nginx = spawn(await ensureNginx(), args, { stdio: ["ignore", "ignore", "inherit"] });
  // Without the harness's wrapper, which keeps each call alive by itself.
  system = await startOnSockets({ strict: false, withApi: false });
  await putRoutes(system, [["/api/fast", `http://127.0.0.1:${port}`]]);
});
after(async () => {
  await system?.stop();
  nginx?.kill();
  rmSync(folder, { recursive: true, force: true });
});

test("a response that comes as the watchdog's timer fires reaches its client", async () => {
  const headers = { "x-api-key": await putToken(system) };
  const call = async () => {
    const response = await system.gateway("/api/fast", { headers });
    await response.arrayBuffer();
    return response.status;
  };
  await eventually(async () => (await call()) === 200);
  const statuses = new Map();
  for (const end = Date.now() + FOR_MS; Date.now() < end; await sleep(Math.random() * 300))
    for (let i = 0; i < 30; i++) {
      const status = await call();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  assert.deepEqual([...statuses.keys()], [200], JSON.stringify(Object.fromEntries(statuses)));
  assert.doesNotMatch(system.logs(), /Uncaught|had hung/);
});
