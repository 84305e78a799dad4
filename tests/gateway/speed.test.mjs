// The gateway's speed beside a bare Worker's, by the benchmark itself, in short.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

/** Far below what is measured (docs/performance.md), since other work on the machine may disturb it. */
const LEAST = { gateway: 0.35, "gateway, token with a rate limit": 0.3 };

test("a call takes a bounded multiple of a bare pass-through's CPU", { timeout: 300_000 }, (t) => {
  const output = execFileSync(process.execPath, ["bench/gateway.mjs", "--quick", "--json"], {
    cwd: root,
    encoding: "utf8",
  });
  const figures = JSON.parse(output.slice(output.indexOf("\n{") + 1)).load["GET 1 KB"];
  for (const [name, least] of Object.entries(LEAST)) {
    const { of_rate, of_cpu } = figures[name];
    t.diagnostic(
      `${name}: ${of_rate.median.toFixed(2)} of the calls, ${of_cpu.median.toFixed(2)} of the CPU`,
    );
    assert.ok(of_cpu.median >= least, `${name}: ${of_cpu.median}`);
  }
});
