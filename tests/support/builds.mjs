// Other versions of both Workers, for tests that run them beside the current one: an older commit, and a version that
// does not exist yet. Both are compiled once, unoptimised, in a folder inside the target folder, with the dependencies
// that other builds have left there.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { layOutWorker } from "../../scripts/build/worker.mjs";
import { root, run, targetDir, tools } from "../../scripts/setup.mjs";

/** The previous version: the last that may still be running somewhere when this one is deployed. */
export const PREVIOUS = "ee26f212c363c3493ca75fc81deaea751940baba";

const git = (...args) =>
  execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
const WORKERS = ["gateway", "admin-api"];
/** The folder where other versions are compiled. */
const compiled = (name) => path.join(targetDir, "builds", name);
/** The folder from which the runtime loads them: below the root, one path per version. */
const placed = (name) => path.join(root, ".wrangler/builds", name);

/** Copies the builds of a source folder to where the runtime loads them. */
function place(from, name) {
  for (const crate of WORKERS)
    cpSync(path.join(from, crate, "build"), path.join(placed(name), crate, "build"), { recursive: true });
  return placed(name);
}

/** Makes a copy of the current builds. */
export const buildHere = (name) => place(root, name);

export const removeBuild = (name) => rmSync(placed(name), { recursive: true, force: true });

/** Returns the profile of `BUILD=quick`, which older commits lack. */
const quick = () =>
  /^\[profile\.quick\]\n(.+\n)+/m.exec(readFileSync(path.join(root, "Cargo.toml"), "utf8"))[0];

/**
 * Returns the manifest with a separate version. Cargo distinguishes packages in one target folder by their place within
 * the workspace and their version: with the same version it would confuse the crates of two workspaces.
 */
const apart = (manifest, name) =>
  manifest.replace(/^version = "(.+)"$/m, (_, version) => `version = "${version}-${name}"`);

/** Returns whether a commit can be built. A shallow clone lacks older ones, and nothing is fetched for a test. */
export function isInClone(commit) {
  try {
    git("cat-file", "-e", `${commit}^{commit}`);
    return true;
  } catch (error) {
    if (git("rev-parse", "--is-shallow-repository") !== "true") throw error;
    return false;
  }
}

async function compile(name) {
  const env = { CARGO_TARGET_DIR: targetDir, WASM_BINDGEN_USE_JS_SYS: "1" };
  const target = "wasm32-unknown-unknown";
  for (const crate of WORKERS) {
    const cwd = path.join(compiled(name), crate);
    const to = path.join(cwd, "build");
    if (existsSync(path.join(to, "index.js"))) continue;
    await run("cargo", ["build", "--lib", "--profile", "quick", "--target", target], {
      cwd,
      quiet: true,
      env,
    });
    const wasm = path.join(targetDir, target, "quick", `${crate.replaceAll("-", "_")}.wasm`);
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to);
    await layOutWorker(to, { folder: cwd, wasm, bindgen: path.join(tools, "bin/bindgen"), optimizer: null });
  }
  return place(compiled(name), name);
}

/** Builds a commit. Returns the folder with its `gateway/build` and `admin-api/build`. */
export async function buildOf(commit) {
  const id = git("rev-parse", "--verify", `${commit}^{commit}`);
  const folder = compiled(id);
  const manifest = path.join(folder, "Cargo.toml");
  if (!existsSync(manifest)) {
    mkdirSync(folder, { recursive: true });
    await run("sh", ["-c", `git archive ${id} | tar -x -C "${folder}"`], { quiet: true });
    const text = readFileSync(manifest, "utf8");
    writeFileSync(
      manifest,
      apart(text.includes("[profile.quick]") ? text : `${text}\n${quick()}`, `of-${id}`),
    );
  }
  return compile(id);
}

/** The crates of the Workers' workspace; the UI is a member, so its manifest must exist. */
const CRATES = ["domain", "contract", "edge", "gateway", "admin-api", "admin-ui", "bench/rust-pass-through"];

/**
 * The folder of a build of the current sources with these changes: each is `[file, text, its replacement]`, and the text
 * occurs in the file once. It plays a version that is not written yet.
 */
export async function buildWith(name, changes) {
  const folder = compiled(name);
  const sources = new Map();
  const take = (file) => sources.set(file, readFileSync(path.join(root, file)));
  for (const file of ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"]) take(file);
  for (const crate of CRATES) {
    for (const entry of readdirSync(path.join(root, crate), { withFileTypes: true, recursive: true })) {
      const file = path.relative(root, path.join(entry.parentPath, entry.name));
      const isLeftOut = file
        .split(path.sep)
        .some((part) => ["build", "dist", "target", "tests", "node_modules", "public"].includes(part));
      if (entry.isFile() && !isLeftOut) take(file);
    }
  }
  for (const [file, text, replacement] of changes) {
    const parts = String(sources.get(file) ?? "").split(text);
    if (parts.length !== 2)
      throw new Error(`${file}: found ${parts.length - 1} times, and not once: ${text}`);
    sources.set(file, Buffer.from(parts.join(replacement)));
  }
  sources.set("Cargo.toml", Buffer.from(apart(String(sources.get("Cargo.toml")), name)));
  const hash = createHash("sha256");
  for (const file of [...sources.keys()].sort())
    hash.update(file).update("\0").update(sources.get(file)).update("\0");
  const stamp = path.join(folder, "stamp");
  const now = hash.digest("hex");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== now) {
    for (const crate of WORKERS) rmSync(path.join(folder, crate, "build"), { recursive: true, force: true });
    for (const [file, content] of sources) {
      const target = path.join(folder, file);
      if (existsSync(target) && readFileSync(target).equals(content)) continue;
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
    }
    await compile(name);
    writeFileSync(stamp, now);
  }
  return place(folder, name);
}
