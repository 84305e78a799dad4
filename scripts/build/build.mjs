// Builds what is named (gateway, admin-api, ui; all without a name). What has not changed since its
// last build is left alone, so wrangler can call this at every start.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { writeHeaders } from "./headers.mjs";
import { layOut } from "./layout.mjs";
import { writeLicenses } from "../supply/licenses.mjs";
import { root, run, say, setUp, targetDir, tools } from "../setup.mjs";
import { buildStyles } from "./styles.mjs";

/** `BUILD=quick` compiles in a fraction of the time, for work on the code; sizes and speed are those of a release alone. */
const isQuick = () => process.env.BUILD === "quick";

const bin = (name) => path.join(root, "node_modules/.bin", name);

const parts = {
  gateway: {
    sources: ["gateway", "edge", "domain"],
    output: "gateway/build/index.js",
    build: () => worker("gateway"),
  },
  "admin-api": {
    sources: ["admin-api", "edge", "contract", "domain"],
    output: "admin-api/build/index.js",
    build: () => worker("admin-api"),
  },
  // What the gateway is measured against; not part of `all`, since nothing deploys it.
  "bench/rust-pass-through": {
    sources: ["bench/rust-pass-through"],
    output: "bench/rust-pass-through/build/index.js",
    build: () => worker("bench/rust-pass-through"),
    onlyByName: true,
  },
  ui: { sources: ["admin-ui", "contract", "domain"], output: "admin-ui/dist/index.html", build: ui },
};

async function worker(crate) {
  const env = {
    WASM_BINDGEN_BIN: path.join(tools, "bin/wasm-bindgen"),
    WASM_OPT_BIN: bin("wasm-opt"),
    ESBUILD_BIN: bin("esbuild"),
    CARGO_TARGET_DIR: targetDir,
  };
  const cwd = path.join(root, crate);
  const profile = isQuick() ? ["--profile", "quick", "--no-opt"] : ["--release"];
  await run(path.join(tools, "bin/worker-build"), profile, { cwd, env, quiet: true });
  if (isQuick()) return;
  // worker-build keeps function names; without them the module is a tenth smaller.
  const file = path.join(cwd, "build/index_bg.wasm");
  await run(bin("wasm-opt"), ["--all-features", "-O2", file, "-o", file], { quiet: true });
  const wasm = readFileSync(file);
  const kib = (bytes) => `${(bytes.length / 1024).toFixed(0)} KiB`;
  say(`${crate}: ${kib(wasm)} of wasm, ${kib(gzipSync(wasm, { level: 9 }))} gzipped`);
}

const uiProfile = () => (isQuick() ? "quick" : "ui");

/**
 * Lets cargo compile a part as its build will find it. It needs no tool of `.tools`, so it can go on while those are
 * compiled: the arguments and the environment are those of worker-build, or cargo would compile twice.
 */
export async function compile(name) {
  const isUi = name === "ui";
  const profile = isUi ? uiProfile() : isQuick() ? "quick" : "release";
  const args = [
    "build",
    isUi ? "--bins" : "--lib",
    "--profile",
    profile,
    "--target",
    "wasm32-unknown-unknown",
  ];
  const env = { CARGO_TARGET_DIR: targetDir, ...(isUi ? {} : { WASM_BINDGEN_USE_JS_SYS: "1" }) };
  await run("cargo", args, { cwd: path.join(root, isUi ? "admin-ui" : name), env, quiet: true });
}

async function ui() {
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
  const folder = path.join(targetDir, "wasm32-unknown-unknown", uiProfile());
  await layOut(cwd, {
    wasm: path.join(folder, "admin-ui.wasm"),
    wasmBindgen: path.join(tools, "bin/wasm-bindgen"),
    wasmOpt: isQuick() ? null : bin("wasm-opt"),
  });
  writeHeaders(path.join(cwd, "dist"));
  await writeLicenses(path.join(cwd, "dist"));
}

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
    "scripts/supply/licenses.mjs",
    "scripts/build/styles.mjs",
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

/** Whether a part is there as its sources are now. A release does for those who asked for a quick build, too. */
export function isBuilt(name) {
  const stamp = stampOf(name);
  if (!existsSync(path.join(root, parts[name].output)) || !existsSync(stamp)) return false;
  const sources = digest(parts[name].sources);
  return [sources, ...(isQuick() ? [sources + QUICK] : [])].includes(readFileSync(stamp, "utf8"));
}

export async function build(name) {
  if (isBuilt(name)) return;
  const now = digest(parts[name].sources) + (isQuick() ? QUICK : "");
  const stamp = stampOf(name);
  say(`building ${name}`);
  await parts[name].build();
  mkdirSync(path.dirname(stamp), { recursive: true });
  writeFileSync(stamp, now);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !parts[name]);
  if (unknown.length > 0) {
    console.error(`unknown part ${unknown.join(", ")}; known are ${Object.keys(parts).join(", ")}`);
    process.exit(2);
  }
  await setUp(import.meta.url);
  const all = Object.keys(parts).filter((name) => !parts[name].onlyByName);
  for (const name of names.length > 0 ? names : all) await build(name);
}
