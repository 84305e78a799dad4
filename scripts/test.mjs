// `npm test`: every check, in the order in which it is cheap to fail. Names of checks as arguments run
// only those. The last line sums up all tests. Tests that passed on this very tree are not run again, but
// with `--again`, and in CI.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { digestOfTree, notePassed, passedBefore } from "./passed.mjs";
import { ensureBrowser, ensureCommands, root, run, say, setUp, targetDir } from "./setup.mjs";
import { build } from "./build.mjs";
import { checkSupplyChain } from "./supply-chain.mjs";

await setUp(import.meta.url);
const totals = { passed: 0, failed: 0 };
const failures = [];
const wasmCrates = ["edge", "gateway", "admin-api", "admin-ui", "rust-pass-through"].flatMap((crate) => ["-p", crate]);

const cargo = (...args) => run("cargo", args, { quiet: true, env: { CARGO_TARGET_DIR: targetDir } });

/** Runs a test runner, shows what it says and adds up what `count` finds in it. */
function runTests(command, args, count, env = {}) {
  const done = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, CARGO_TARGET_DIR: targetDir, ...env },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const output = done.stdout + done.stderr;
  for (const [kind, pattern] of Object.entries(count)) {
    for (const match of output.matchAll(pattern)) totals[kind] += Number(match[1]);
  }
  if (done.status !== 0) {
    process.stdout.write(output);
    throw new Error(`${command} ended with ${done.status ?? done.signal}`);
  }
}

const cargoCounts = { passed: /test result: \w+\. (\d+) passed/g, failed: /test result: \w+\. \d+ passed; (\d+) failed/g };
const nodeCounts = { passed: /^# pass (\d+)$/gm, failed: /^# fail (\d+)$/gm };

function* testFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* testFiles(file);
    else if (entry.name.endsWith(".test.mjs")) yield file;
  }
}

const checks = {
  format: () => run("cargo", ["fmt", "--all", "--check"], { quiet: true }),
  "clippy, native": () => cargo("clippy", "--workspace", "--all-targets", "--", "-D", "warnings"),
  "clippy, wasm32": () => cargo("clippy", ...wasmCrates, "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"),
  "domain is free of the platform": async () => {
    const tree = await cargo("tree", "-p", "domain", "--target", "wasm32-unknown-unknown", "-e", "normal");
    const found = tree.match(/^.*(wasm-bindgen|js-sys|web-sys|worker|yew) v.*$/m);
    if (found) throw new Error(`domain depends on the platform: ${found[0]}`);
  },
  "supply chain": () => checkSupplyChain(),
  "unit and SQL": () => runTests("cargo", ["test", "--workspace"], cargoCounts),
  build: async () => {
    for (const part of ["gateway", "admin-api", "ui"]) await build(part);
  },
  // One file after the other: several hold the runtime to times and memory.
  "end to end": async () => {
    await ensureCommands();
    const browser = await ensureBrowser();
    const files = [...testFiles(path.join(root, "tests"))].sort();
    const args = ["--test", "--test-concurrency=1", "--test-force-exit", "--test-timeout=600000", "--test-reporter=tap"];
    runTests(process.execPath, [...args, ...files], nodeCounts, { CHROME_PATH: browser });
  },
};

const isAgain = process.argv.includes("--again") || Boolean(process.env.CI);
const wanted = process.argv.slice(2).filter((argument) => argument !== "--again");
const digest = digestOfTree();
for (const [name, check] of Object.entries(checks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const before = isAgain ? undefined : passedBefore(name, digest);
  if (before) {
    say(`${name}: nothing has changed since its ${before.tests} tests passed (${before.at}; --again runs them)`);
    totals.passed += before.tests;
    continue;
  }
  say(name);
  const counted = totals.passed;
  try {
    await check();
    if (totals.passed > counted) notePassed(name, digest, totals.passed - counted);
  } catch (error) {
    failures.push(name);
    console.error(`✗ ${name}: ${error.message}`);
  }
}

// A check that is no test runner counts as one failure where it fails.
const failed = Math.max(totals.failed, failures.length);
if (failures.length > 0) console.error(`\nNot passed: ${failures.join("; ")}`);
console.log(`\n${totals.passed} passed, ${failed} failed`);
process.exit(failures.length > 0 ? 1 : 0);
