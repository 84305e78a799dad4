// Builds the named parts (gateway, admin-api, ui; without a name all). A part that has not changed since its
// last build is skipped, so wrangler can call this at every start. Each part is built in a separate folder and moved to
// its place when it is complete: a process that uses the earlier build is not disturbed, and a build that fails changes
// nothing. With `--ahead` the move is left to a later build without it.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { writeHeaders } from "./headers.mjs";
import { layOut } from "./layout.mjs";
import { writeLicenses } from "../supply/licenses.mjs";
import { root, run, say, setUp, targetDir, tools } from "../setup.mjs";
import { buildStyles } from "./styles.mjs";
import { layOutWorker } from "./worker.mjs";

/** `BUILD=quick` compiles in a fraction of the time, for work on the code; sizes and speed apply to a release only. */
const isQuick = () => process.env.BUILD === "quick";

const WASM = "wasm32-unknown-unknown";
const profile = () => (isQuick() ? "quick" : "release");
const compiled = (file) => path.join(targetDir, WASM, profile(), file);
const bin = (name) => path.join(root, "node_modules/.bin", name);
const bindgen = path.join(tools, "bin/bindgen");

const parts = {
  gateway: {
    sources: ["gateway", "edge", "domain"],
    output: "gateway/build",
    make: (to) => worker("gateway", to),
  },
  "admin-api": {
    sources: ["admin-api", "edge", "contract", "domain"],
    output: "admin-api/build",
    make: (to) => worker("admin-api", to),
  },
  // The baseline for measurements of the gateway; not part of `all`, since nothing deploys it.
  "bench/rust-pass-through": {
    sources: ["bench/rust-pass-through"],
    output: "bench/rust-pass-through/build",
    make: (to) => worker("bench/rust-pass-through", to),
    onlyByName: true,
  },
  ui: { sources: ["admin-ui", "contract", "domain"], output: "admin-ui/dist", make: ui },
};

async function worker(crate, to) {
  await compile(crate);
  const name = path.basename(crate).replaceAll("-", "_");
  const optimizer = isQuick() ? null : { wasmOpt: bin("wasm-opt"), metadce: bin("wasm-metadce") };
  await layOutWorker(to, { folder: path.join(root, crate), wasm: compiled(`${name}.wasm`), bindgen, optimizer });
  const wasm = readFileSync(path.join(to, "index_bg.wasm"));
  const kib = (bytes) => `${(bytes.length / 1024).toFixed(0)} KiB`;
  if (!isQuick()) say(`${crate}: ${kib(wasm)} of wasm, ${kib(gzipSync(wasm, { level: 9 }))} gzipped`);
}

/** Compiles a part with cargo. Unlike its build, this step needs none of the tools, so both can be compiled at once. */
export async function compile(name) {
  const isUi = name === "ui";
  const args = [isUi ? "rustc" : "build", isUi ? "--bins" : "--lib", "--profile", profile(), "--target", WASM];
  // The program can be cut only where it is known what refers to what.
  if (isUi) args.push("--", "-Clink-arg=--emit-relocs");
  // `worker` requires it. It affects only exported async functions, so the UI can share compiled dependencies.
  const env = { CARGO_TARGET_DIR: targetDir, ...(isUi ? {} : { WASM_BINDGEN_USE_JS_SYS: "1" }) };
  await run("cargo", args, { cwd: path.join(root, isUi ? "admin-ui" : name), env, quiet: true });
}

async function ui(to) {
  const cwd = path.join(root, "admin-ui");
  rmSync(path.join(cwd, "build"), { recursive: true, force: true });
  await buildStyles(cwd);
  const charts = [
    "charts.js",
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    "--outfile=build/charts.js",
  ];
  await run(bin("esbuild"), [...charts, "--legal-comments=none", "--log-level=error"], { cwd, quiet: true });
  await compile("ui");
  await layOut(cwd, {
    dist: to,
    wasm: compiled("admin-ui.wasm"),
    bindgen,
    wasmOpt: isQuick() ? null : bin("wasm-opt"),
  });
  writeHeaders(to);
  await writeLicenses(to);
}

/** The folders that a part is built from. */
export const sourcesOf = (name) => parts[name].sources;

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const file = path.join(folder, entry.name);
    if (["build", "dist", "target", "tests", "node_modules"].includes(entry.name)) continue;
    if (entry.isDirectory()) yield* files(file);
    else yield file;
  }
}

function digest(sources) {
  const hash = createHash("sha256");
  const shared = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "package-lock.json",
    "scripts/build/build.mjs",
    "scripts/build/headers.mjs",
    "scripts/build/layout.mjs",
    "scripts/build/order.mjs",
    "scripts/build/purge.mjs",
    "scripts/supply/licenses.mjs",
    "scripts/build/styles.mjs",
    "scripts/build/worker.mjs",
    "scripts/build/worker-shim.template",
    "scripts/build/bindgen/Cargo.lock",
  ];
  const all = [
    ...shared.map((file) => path.join(root, file)),
    ...sources.flatMap((s) => [...files(path.join(root, s))]),
  ];
  for (const file of all) {
    if (!statSync(file).isFile()) continue;
    hash.update(path.relative(root, file)).update("\0").update(readFileSync(file)).update("\0");
  }
  return hash.digest("hex");
}

const stampOf = (name) => path.join(root, ".wrangler/stamps", name);
const QUICK = " quick";
const holds = (stamp, ...contents) => existsSync(stamp) && contents.includes(readFileSync(stamp, "utf8"));

/** Whether a part in its place matches its current sources. If a quick build is asked for, a release also counts. */
export function isBuilt(name) {
  if (!existsSync(path.join(root, parts[name].output))) return false;
  const sources = digest(parts[name].sources);
  return holds(stampOf(name), sources, ...(isQuick() ? [sources + QUICK] : []));
}

function moveTo(place, folder) {
  rmSync(place, { recursive: true, force: true });
  renameSync(folder, place);
}

/** Builds a part; `ahead` leaves it beside its place. */
export async function build(name, { ahead = false } = {}) {
  if (isBuilt(name)) return;
  const now = digest(parts[name].sources) + (isQuick() ? QUICK : "");
  const made = path.join(root, ".wrangler/made", isQuick() ? "quick" : "release", name);
  const stamp = `${made}.stamp`;
  if (!holds(stamp, now)) {
    say(`building ${name}`);
    // Two processes may be at the same part.
    const fresh = `${made}.${process.pid}`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    await parts[name].make(fresh);
    moveTo(made, fresh);
    writeFileSync(stamp, now);
  }
  if (ahead) return;
  rmSync(stamp, { force: true });
  moveTo(path.join(root, parts[name].output), made);
  mkdirSync(path.dirname(stampOf(name)), { recursive: true });
  writeFileSync(stampOf(name), now);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const ahead = process.argv.includes("--ahead");
  const names = process.argv.slice(2).filter((argument) => argument !== "--ahead");
  const unknown = names.filter((name) => !parts[name]);
  if (unknown.length > 0) {
    console.error(`unknown part ${unknown.join(", ")}; known are ${Object.keys(parts).join(", ")}`);
    process.exit(2);
  }
  await setUp(import.meta.url);
  const all = Object.keys(parts).filter((name) => !parts[name].onlyByName);
  for (const name of names.length > 0 ? names : all) await build(name, { ahead });
}
