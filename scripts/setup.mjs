// Prepares a machine to build the project: npm packages, the wasm target, and one tool
// in `.tools` (or the folder that TOKEN_MANAGER_TOOLS names). Steps already done cost nothing.
// It uses only Node's own modules, since it runs before anything is installed.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const tools = path.resolve(root, process.env.TOKEN_MANAGER_TOOLS ?? ".tools");
export const targetDir = path.resolve(root, process.env.CARGO_TARGET_DIR ?? "target");

const started = Date.now();

/** A line of progress, with the seconds since the start. */
export function say(text) {
  console.log(`[${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s] ${text}`);
}

/** Lets a process and all that it starts take the time that others leave. */
export const yields = (child) =>
  child.pid && os.setPriority(child.pid, os.constants.priority.PRIORITY_BELOW_NORMAL);

/**
 * Runs a command with its output shown, or collected and shown only when it fails. What is `patient` yields to
 * everything else.
 */
export function run(command, args, { quiet = false, env = {}, cwd = root, patient = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", quiet ? "pipe" : "inherit", quiet ? "pipe" : "inherit"],
    });
    if (patient) yields(child);
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) return resolve(output);
      if (quiet) process.stderr.write(output);
      reject(new Error(`${command} ${args.join(" ")} ended with ${code}`));
    });
  });
}

function newerThan(a, b) {
  return !existsSync(b) || statSync(a).mtimeMs > statSync(b).mtimeMs;
}

async function ensurePackages() {
  const installed = path.join(root, "node_modules", ".package-lock.json");
  if (newerThan(path.join(root, "package-lock.json"), installed)) {
    say("installing npm packages");
    // Not `npm ci`: it refuses the whole lock file when a registry lacks the runtime's build for some
    // other platform. `--no-save` installs the locked versions and does not change the lock file.
    await run("npm", ["install", "--no-save", "--no-fund", "--no-audit", "--loglevel=error"]);
  }
}

function version(tool) {
  // A cargo plugin expects its own name as the first argument, as cargo passes it.
  const args = tool.startsWith("cargo-") ? [tool.slice("cargo-".length), "--version"] : ["--version"];
  const found = spawnSync(path.join(tools, "bin", tool), args, { encoding: "utf8" });
  return found.stdout?.trim().split(" ").at(-1);
}

/** The version of a crate in Cargo.lock. */
function locked(crate) {
  const lock = readFileSync(path.join(root, "Cargo.lock"), "utf8");
  return lock.match(new RegExp(`name = "${crate}"\\nversion = "(.*)"`))[1];
}

/** Compiles a tool if it is not there in that version: a crate of crates.io, or the one in the folder `source`. */
async function ensureTool(tool, wanted, { flags = [], source = undefined } = {}) {
  if (version(tool) === wanted) return;
  say(`compiling ${tool} ${wanted} (about ${source ? "half a minute" : "2 minutes"}, once)`);
  const from = source ? ["--path", source] : [tool, "--version", wanted];
  // Tools run for seconds: compiled without optimisation they are ready in half the time.
  const how = ["--locked", "--debug", "--config", "profile.dev.debug=false", ...flags];
  const args = ["install", ...from, "--root", tools, "--force"];
  // Its own target folder: another version of a shared dependency must not disturb ours.
  const env = { CARGO_TARGET_DIR: path.join(tools, "target") };
  await run("cargo", [...args, ...how], { env }).catch(() =>
    // A lock file may name a version that a mirror does not have yet.
    run("cargo", [...args, ...how.slice(1)], { env }),
  );
}

/** Adds the wasm target if it is missing, which every compilation for the Workers and the UI needs. */
export async function ensureTarget() {
  const targets = spawnSync("rustc", ["--print", "sysroot"], { cwd: root, encoding: "utf8" }).stdout?.trim();
  if (!targets) throw new Error("Rust is missing: install it with rustup (https://rustup.rs)");
  if (!existsSync(path.join(targets, "lib/rustlib/wasm32-unknown-unknown"))) {
    say("adding the wasm32 target");
    await run("rustup", ["target", "add", "wasm32-unknown-unknown"]);
  }
}

/** Compiles the tool that lays out what cargo compiled: the libraries of wasm-bindgen and wasm-split under one command line. */
export const ensureTools = () =>
  ensureTool("bindgen", `${locked("wasm-bindgen")}+split`, { source: "scripts/build/bindgen" });

/** Checks the crates' dependencies: licences, origins, duplicates, advisories. */
export const ensureCargoDeny = () => ensureTool("cargo-deny", "0.20.2");

/** Lists the dependencies of a crate. */
export const ensureCyclonedx = () => ensureTool("cargo-cyclonedx", "0.5.9");

/** Continues under the project's own Node if the one that started us is too old. */
function underProjectNode(script) {
  if (Number(process.versions.node.split(".")[0]) >= 22) return;
  const node = path.join(root, "node_modules/node/bin/node");
  const child = spawn(node, [script, ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"]))
    process.on(signal, () => child.kill(signal));
  child.on("error", () => {
    console.error(
      "Node 22 is not there: run `npm ci`, with the packages' scripts, or start this with Node 22 or newer.",
    );
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
  return new Promise(() => {});
}

/** Everything that `script` needs before it may import an installed package. */
export async function setUp(scriptUrl, { cargoTools = true } = {}) {
  process.chdir(root);
  process.env.WRANGLER_SEND_METRICS = "false";
  await ensurePackages();
  await underProjectNode(fileURLToPath(scriptUrl));
  if (cargoTools) {
    await ensureTarget();
    await ensureTools();
  }
  const bin = [path.join(tools, "bin"), path.join(root, "node_modules/.bin"), path.dirname(process.execPath)];
  process.env.PATH = [...bin, process.env.PATH].join(path.delimiter);
}

function installed(command) {
  return spawnSync("which", [command], { stdio: "ignore" }).status === 0;
}

/** Installs Debian packages if that needs no question. Returns whether it did. */
async function apt(...packages) {
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return false;
  say(`installing ${packages.join(", ")}`);
  await run("apt-get", ["update"], { quiet: true });
  await run("apt-get", ["install", "-y", ...packages], { quiet: true });
  return true;
}

/** The commands that the documents use besides our own. */
export async function ensureCommands() {
  const missing = ["curl", "jq", "pgrep"].filter((command) => !installed(command));
  if (missing.length === 0) return;
  if (!(await apt("curl", "jq", "procps"))) throw new Error(`the tests need ${missing.join(", ")}`);
}

/** nginx, the upstream of benchmarks; the command. */
export async function ensureNginx() {
  // Debian has it where only root looks.
  const found = ["/usr/sbin/nginx", "/usr/local/bin/nginx", "/opt/homebrew/bin/nginx"].find((file) =>
    existsSync(file),
  );
  if (found) return found;
  if (await apt("nginx")) return "/usr/sbin/nginx";
  throw new Error("the benchmark needs nginx as its upstream: install it (on Debian: apt-get install nginx)");
}

/** An S3 server that checks signatures and knows `aws-chunked`; the command. */
export async function ensureS3Server() {
  await ensureTool("s3s-fs", "0.14.1", { flags: ["--features", "binary"] });
  return path.join(tools, "bin", "s3s-fs");
}

const PYTHON = { schemathesis: "4.32.5", botocore: "1.44.8", "opentelemetry-proto": "1.45.2" };

/** The Python environment of the tests: its folder of commands. */
async function ensurePython() {
  const folder = path.join(tools, `python-${Object.values(PYTHON).join("-")}`);
  const ready = path.join(folder, "ready");
  const bin = path.join(folder, "bin");
  if (existsSync(ready)) return bin;
  const wanted = Object.entries(PYTHON).map(([name, version]) => `${name}==${version}`);
  say(`installing ${wanted.join(", ")}`);
  const make = () => run("python3", ["-m", "venv", "--clear", folder], { quiet: true });
  await make().catch(async (error) => {
    if (!(await apt("python3", "python3-venv")))
      throw new Error(`the tests need python3 with venv: ${error.message}`);
    await make();
  });
  await run(path.join(bin, "pip"), ["install", "--quiet", "--disable-pip-version-check", ...wanted], {
    quiet: true,
  });
  writeFileSync(ready, "");
  return bin;
}

/** Schemathesis, which tries the API from its own document; the command. */
export const ensureSchemathesis = async () => path.join(await ensurePython(), "schemathesis");

/** Python with botocore, on which AWS's command line and boto3 are built, and with OpenTelemetry's messages; the command. */
export const ensureLibraries = async () => path.join(await ensurePython(), "python3");

/** The browser for the tests: CHROME_PATH, the system's, or Playwright's own. */
export async function ensureBrowser() {
  const known = [process.env.CHROME_PATH, "/usr/bin/chromium", "/usr/bin/google-chrome"];
  const found = known.find((file) => file && existsSync(file));
  if (found) return found;
  if (await apt("chromium", "fonts-noto-cjk")) return "/usr/bin/chromium";
  await run("npx", ["playwright-core", "install", "chromium"]);
  return createRequire(import.meta.url)("playwright-core").chromium.executablePath();
}

const CLERK = { "@clerk/clerk-js": "6.40.0", "@clerk/ui": "1.34.0" };

/**
 * Clerk's published browser scripts, for the tests; the folder that has them. Packed and not installed: the
 * packages name a thousand others (React Native among them) that the bundled scripts have no need of.
 */
export async function ensureClerkScripts() {
  const folder = path.join(tools, `clerk-${Object.values(CLERK).join("-")}`);
  if (existsSync(folder)) return folder;
  say("fetching Clerk's scripts");
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  for (const [name, wanted] of Object.entries(CLERK)) {
    const to = path.join(fresh, name);
    mkdirSync(to, { recursive: true });
    await run("npm", ["pack", `${name}@${wanted}`, "--pack-destination", fresh, "--loglevel=error"], {
      quiet: true,
    });
    const archive = `${name.slice(1).replace("/", "-")}-${wanted}.tgz`;
    await run("tar", ["xzf", path.join(fresh, archive), "-C", to, "--strip-components=1"], { quiet: true });
  }
  renameSync(fresh, folder);
  return folder;
}
