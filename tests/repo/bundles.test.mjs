// Both Workers as `wrangler deploy` would upload them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { root } from "../../scripts/setup.mjs";

const dryRun = (env) =>
  execFileSync(path.join(root, "node_modules/.bin/wrangler"), ["deploy", "--dry-run", "--env", env], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });

test("the gateway deploys with KV and a queue and no database", () => {
  const output = dryRun("gateway");
  assert.match(output, /env\.TOKENS .*KV Namespace/);
  assert.match(output, /env\.USAGE .*Queue/);
  assert.doesNotMatch(output, /D1 Database/);
});

test("the admin API deploys with its databases, KV and both queues", () => {
  const output = dryRun("admin-api");
  for (const binding of [
    /env\.DB .*D1 Database/,
    /env\.USAGE_DB .*D1 Database/,
    /env\.TOKENS .*KV Namespace/,
    /env\.USAGE .*Queue/,
    /env\.USAGE_DLQ .*Queue/,
  ])
    assert.match(output, binding);
});

test("no Worker carries the tables of Unicode for hosts", () => {
  const lock = readFileSync(path.join(root, "Cargo.lock"), "utf8");
  const adapter = lock.match(/name = "idna_adapter"\nversion = "(.*)"/)?.[1];
  assert.equal(adapter, "1.0.0", "see `url` in Cargo.toml");
});

test("no Worker needs a feature of wasm that only the newest runtimes read", () => {
  for (const worker of ["gateway", "admin-api"])
    assert.ok(WebAssembly.validate(readFileSync(path.join(root, worker, "build/index_bg.wasm"))), worker);
});

for (const [worker, most] of /** @type {any[][]} */ ([
  ["gateway", 337],
  ["admin-api", 1_024],
])) {
  test(`the wasm of ${worker} stays within ${most} KiB gzipped`, (t) => {
    const size =
      gzipSync(readFileSync(path.join(root, worker, "build/index_bg.wasm")), { level: 9 }).length / 1024;
    t.diagnostic(`${size.toFixed(0)} KiB`);
    assert.ok(size <= most, `${size} KiB`);
  });
}
