// `npm run dev`: a change of a source is built and served, a mistake is shown and changes nothing.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { eventually, freeRow } from "../support/harness.mjs";

const base = await freeRow(5);
const home = mkdtempSync(path.join(tmpdir(), "token-manager-"));
const source = path.join(root, "gateway/src/serve.rs");
const original = readFileSync(source, "utf8");
const STATUS = 'status: "ok".into()';
/** What the system was built to, which the files after this one find as it was. */
const PLACED = ["gateway/build", ".wrangler/stamps/gateway"];
let child;
let output = "";

const said = (text, ms = 120_000) =>
  eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`npm run dev ended:\n${output}`);
      return output.includes(text);
    },
    ms,
    text,
  );
const health = async () => (await fetch(`http://localhost:${base}/health`)).json();

before(
  async () => {
    for (const [i, name] of PLACED.entries())
      cpSync(path.join(root, name), path.join(home, `${i}`), { recursive: true });
    const env = { ...process.env, BUILD: "quick", PORT_BASE: String(base), TOKEN_MANAGER_HOME: home };
    child = spawn("npm", ["run", "dev"], { cwd: root, env, detached: true });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    await said("what changes is built and loaded again", 600_000);
  },
  { timeout: 600_000 },
);
after(async () => {
  process.kill(-child.pid, "SIGINT");
  await eventually(() => child.exitCode !== null || child.signalCode !== null, 20_000, "the end");
  for (const [i, name] of PLACED.entries()) {
    rmSync(path.join(root, name), { recursive: true, force: true });
    cpSync(path.join(home, `${i}`), path.join(root, name), { recursive: true });
  }
  rmSync(home, { recursive: true, force: true });
});

// However this file ends, the source is as it was.
process.on("exit", () => writeFileSync(source, original));

test("a source that does not compile is shown, and what was built before goes on", async () => {
  assert.equal(original.split(STATUS).length, 2, `${STATUS} is in the source once`);
  writeFileSync(source, original.replace(STATUS, "status: 1"));
  await said("What was built before goes on.");
  assert.match(output, /error\[E0308\]: mismatched types/);
  assert.equal((await health()).status, "ok");
});

test("a changed source is served once it is built, on the state of before", async () => {
  const token = output.match(/ntk_\w+/)[0];
  writeFileSync(source, original.replace(STATUS, 'status: "changed".into()'));
  await said("gateway is loaded again");
  assert.equal((await health()).status, "changed");
  assert.doesNotMatch(output, /admin-api is loaded again|ui is loaded again/);
  const call = await fetch(`http://localhost:${base}/api/demo`, { headers: { "x-api-key": token } });
  assert.equal(call.status, 200, "the token is known still");
});
