// A short version of `npm run soak -- --minutes 10`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../scripts/setup.mjs";

test("twenty seconds of mixed load: no unexpected error, one event for each call", async () => {
  const args = [path.join(root, "bench/soak.mjs"), "--minutes", "0.33", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 180_000 });
  const result = JSON.parse(stdout.slice(stdout.indexOf("{")));
  assert.equal(result.wrong, 0);
  assert.ok(result.calls > 500, `${result.calls} calls`);
  assert.deepEqual(result.events, result.made);
});
