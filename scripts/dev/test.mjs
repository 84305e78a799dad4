// `npm test` runs every step; names of steps or of test files as arguments run only those. End-to-end tests run on quick
// builds, three files at a time. What compiles besides (clippy, unit tests, the release) goes on beside them with lower
// priority, in the time in which they wait. Then the release is moved in: what deploys it runs on it, and so do the files
// that measure, one at a time. Steps that passed on this very tree are not run again, except with `--again` and in CI.
// The last line sums up all tests.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { digestOfTree, notePassed, passedBefore } from "./passed.mjs";
import * as setup from "../setup.mjs";

const { root, say, targetDir } = setup;

/** Everything a step needs before its first test: parts of the system, and tools that are there in seconds. */
const WORKERS = ["gateway", "admin-api"];
const NEEDS = {
  build: { tools: ["ensureBrowser"] },
  repo: {},
  gateway: { parts: WORKERS, tools: ["ensureCommands", "ensureLibraries"] },
  api: { parts: WORKERS, tools: ["ensureSchemathesis"] },
  ui: { parts: [...WORKERS, "ui"], tools: ["ensureBrowser", "ensureClerkScripts"] },
  operations: { parts: [...WORKERS, "ui"], tools: ["ensureCommands", "ensureBrowser"] },
};
const STEPS = ["lint", "unit", ...Object.keys(NEEDS)];

/** Sizes are those of a release, so the step `build` runs these. */
const OF_A_RELEASE = [
  "tests/repo/bundles.test.mjs",
  "tests/repo/first-load.test.mjs",
  "tests/repo/start-up.test.mjs",
];

/** These run on the release: it is what is measured, and what is deployed. */
const ON_THE_RELEASE = [
  ...OF_A_RELEASE,
  "tests/gateway/speed.test.mjs",
  "tests/gateway/watchdog.test.mjs",
  "tests/operations/deploy.test.mjs",
  "tests/operations/operating.test.mjs",
];

/** Tools that take minutes to compile, by the file that needs them. */
const LARGE_TOOLS = {
  "tests/gateway/sdk.test.mjs": ["ensureS3Server"],
  "tests/repo/supply-chain.test.mjs": ["ensureCargoDeny", "ensureCyclonedx"],
};
/** It runs older and newer versions of the Workers, which are compiled for it. */
const VERSIONS = "tests/operations/versions.test.mjs";

/** Files that measure time, memory, CPU or the cost of a call: nothing runs beside them. */
const ALONE = [
  "tests/api/dry-run-speed.test.mjs",
  "tests/gateway/ai.test.mjs",
  "tests/gateway/credentials.test.mjs",
  "tests/gateway/first-call.test.mjs",
  "tests/gateway/hangups-many.test.mjs",
  "tests/gateway/hangups.test.mjs",
  "tests/gateway/killed.test.mjs",
  "tests/gateway/speed.test.mjs",
  "tests/gateway/watchdog.test.mjs",
  "tests/gateway/store.test.mjs",
  "tests/gateway/streaming.test.mjs",
  "tests/operations/cost.test.mjs",
  "tests/operations/dev.test.mjs",
  "tests/operations/rotation.test.mjs",
  "tests/operations/soak.test.mjs",
  "tests/operations/start.test.mjs",
  "tests/operations/strict.test.mjs",
  "tests/operations/usage.test.mjs",
  "tests/repo/first-load.test.mjs",
  "tests/repo/start-up.test.mjs",
];

/** Files at a time, on two cores: half of a file's time is waiting. Each lane has 4,000 ports below 32,768. */
const LANES = 3;

/** The slowest files come first, so that none runs alone at the end. */
const LONGEST = [
  "tests/api/openapi.test.mjs",
  "tests/operations/operating.test.mjs",
  "tests/ui/pages.test.mjs",
  "tests/api/publication.test.mjs",
  "tests/operations/versions.test.mjs",
  "tests/ui/tokens.test.mjs",
  "tests/api/routes.test.mjs",
  "tests/gateway/hostile.test.mjs",
  "tests/ui/routes.test.mjs",
  "tests/api/import.test.mjs",
  "tests/api/roles.test.mjs",
];

function testFiles(folder) {
  const entries = readdirSync(path.join(root, folder), { recursive: true }).map((name) =>
    path.join(folder, name),
  );
  return entries.filter((file) => file.endsWith(".test.mjs")).sort();
}

const stepOf = (file) => (OF_A_RELEASE.includes(file) ? "build" : file.split("/")[1]);

const given = process.argv.slice(2).filter((argument) => argument !== "--again");
const isAgain = process.argv.includes("--again") || Boolean(process.env.CI);
const onlyFiles = given
  .filter((name) => name.endsWith(".test.mjs"))
  .map((name) => path.relative(root, path.resolve(name)));
const named = given.filter((name) => !name.endsWith(".test.mjs"));
const unknown = named.filter((name) => !STEPS.includes(name));
if (unknown.length > 0) {
  console.error(`unknown step ${unknown.join(", ")}; known are ${STEPS.join(", ")}, and test files`);
  process.exit(2);
}

await setup.setUp(import.meta.url, { cargoTools: false });
const totals = { passed: 0, failed: 0 };
/** Passed tests by step, and the failed steps. */
const passed = {};
const failures = new Set();
const digest = digestOfTree();

function isToRun(step) {
  const before = isAgain ? undefined : passedBefore(step, digest);
  if (!before) return true;
  say(
    `${step}: nothing has changed since its ${before.tests} tests passed (${before.at}; --again runs them)`,
  );
  totals.passed += before.tests;
  return false;
}

const steps = (given.length > 0 ? named : STEPS).filter(isToRun);
const files = [
  ...onlyFiles,
  ...steps
    .filter((step) => NEEDS[step])
    .flatMap((step) => testFiles("tests").filter((file) => stepOf(file) === step)),
];
const involved = new Set([...steps, ...files.map(stepOf)]);
const isReleased = files.some((file) => ON_THE_RELEASE.includes(file));
process.env.BUILD ??= "quick";

/** Runs a command. Returns its exit code and its whole output. */
function collect(command, args, env = {}, patient = false) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, CARGO_TARGET_DIR: targetDir, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (patient) setup.yields(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ status: code ?? signal, output }));
  });
}

const CARGO = {
  passed: /test result: \w+\. (\d+) passed/g,
  failed: /test result: \w+\. \d+ passed; (\d+) failed/g,
};
const NODE = { passed: /^# pass (\d+)$/gm, failed: /^# fail (\d+)$/gm };

/** Runs a test runner for `step`, prints its output if it fails, and adds up the numbers that the patterns find. */
async function runTests(step, name, command, args, patterns, { env = {}, patient = false } = {}) {
  const started = Date.now();
  const { status, output } = await collect(command, args, env, patient);
  const sum = (pattern) => [...output.matchAll(pattern)].reduce((all, match) => all + Number(match[1]), 0);
  const counted = { passed: sum(patterns.passed), failed: sum(patterns.failed) };
  totals.passed += counted.passed;
  totals.failed += counted.failed;
  passed[step] = (passed[step] ?? 0) + counted.passed;
  say(
    `${name}: ${counted.passed} passed, ${counted.failed} failed, ${((Date.now() - started) / 1000).toFixed(0)} s`,
  );
  if (status === 0) return;
  process.stdout.write(output);
  throw new Error(`ended with ${status}`);
}

/** Runs a part of a step; if it throws, the step counts as failed. */
async function attempt(step, work) {
  try {
    await work();
  } catch (error) {
    failures.add(step);
    console.error(`✗ ${step}: ${error.message}`);
  }
}

const unique = (list) => [...new Set(list)];

/** Builds and installs what the tests of these steps use, so that no test has to. */
async function prepare() {
  const needs = [...involved].map((step) => NEEDS[step] ?? {});
  const { build, compile, isBuilt } = await import("../build/build.mjs");
  const missing = unique(needs.flatMap(({ parts = [] }) => parts)).filter((part) => !isBuilt(part));
  const compileMissing = async () => {
    for (const part of missing) await compile(part);
  };
  if (needs.some(({ parts }) => parts)) {
    await setup.ensureTarget();
    await Promise.all([setup.ensureTools(), compileMissing()]);
  }
  for (const part of missing) await build(part);
  for (const tool of unique(needs.flatMap(({ tools = [] }) => tools))) {
    const found = await setup[tool]();
    if (tool === "ensureBrowser") process.env.CHROME_PATH = found;
  }
}

/** Runs files, `count` at a time; `ready` are promises that a file waits for. */
async function inLanes(count, list, ready = {}) {
  const waiting = [...list];
  const lane = async (_, number) => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      await ready[file];
      const args = ["--test", "--test-force-exit", "--test-timeout=600000", "--test-reporter=tap", file];
      await attempt(stepOf(file), () =>
        runTests(stepOf(file), file, process.execPath, args, NODE, { env: { TEST_LANE: String(number) } }),
      );
    }
  };
  await Promise.all(Array.from({ length: count }, lane));
}

/** Runs a script of ours in the time that others leave. */
const patiently = (script, args = [], env = {}) =>
  setup.run(process.execPath, [script, ...args], { patient: true, env });

/** Lint, unit tests and large tools, one after the other. */
async function checkSources() {
  if (steps.includes("lint")) await attempt("lint", () => patiently("scripts/dev/lint.mjs"));
  if (steps.includes("unit")) {
    const work = ["test", "--workspace"];
    await attempt("unit", () => runTests("unit", "unit", "cargo", work, CARGO, { patient: true }));
  }
  for (const tool of unique(files.flatMap((file) => LARGE_TOOLS[file] ?? []))) await setup[tool]();
}

/** Other builds of the same sources. The end of each takes one core alone, so this goes on beside the checks. */
const buildVersions = async () => files.includes(VERSIONS) && patiently("tests/support/versions.mjs");
const buildRelease = async () =>
  isReleased && patiently("scripts/build/build.mjs", ["--ahead"], { BUILD: "release" });

let isPrepared = true;
const orElse = (error) => {
  isPrepared = false;
  failures.add("build");
  console.error(`✗ build: ${error.message}`);
};

/** The files for which `isIn` holds, those that take longest first and those that wait for something last. */
function filesIf(isIn) {
  const longestFirst = unique([...LONGEST.filter((file) => files.includes(file)), ...files]).filter(isIn);
  const isLate = (file) => file in LARGE_TOOLS || file === VERSIONS;
  return [...longestFirst.filter((file) => !isLate(file)), ...longestFirst.filter(isLate)];
}

const checked = checkSources().catch(orElse);
const prepared = prepare().catch(orElse);
const versions = prepared.then(buildVersions).catch(orElse);
const released = versions.then(buildRelease).catch(orElse);
await prepared;
if (isPrepared) {
  const isAlone = (file) => ALONE.includes(file);
  const isOnRelease = (file) => ON_THE_RELEASE.includes(file);
  const ready = { [VERSIONS]: versions };
  for (const file of Object.keys(LARGE_TOOLS)) ready[file] = checked;
  const onQuick = filesIf((file) => !isAlone(file) && !isOnRelease(file));
  await inLanes(LANES, onQuick, ready);
  await Promise.all([checked, released]);
  if (isReleased) {
    process.env.BUILD = "release";
    await setup.run(process.execPath, ["scripts/build/build.mjs"]).catch(orElse);
  }
  const onRelease = filesIf((file) => !isAlone(file) && isOnRelease(file));
  await inLanes(LANES, onRelease);
  await inLanes(1, filesIf(isAlone));
  for (const step of steps) if (!failures.has(step) && passed[step]) notePassed(step, digest, passed[step]);
}
await Promise.all([checked, released]);

// A check that is not a test runner counts as one failure.
const failed = Math.max(totals.failed, failures.size);
if (failures.size > 0) console.error(`\nNot passed: ${[...failures].join("; ")}`);
console.log(`\n${totals.passed} passed, ${failed} failed`);
process.exit(failures.size > 0 ? 1 : 0);
