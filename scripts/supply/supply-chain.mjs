// Checks the dependencies: cargo-deny for the crates (deny.toml has the rules and reasons), licences and advisories
// of the npm packages that the UI ships. Advisories come from the network; if it cannot be reached, a line says so
// and nothing fails, unless ADVISORIES=required, as in CI.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ensureCargoDeny, root, say, setUp } from "../setup.mjs";

/** Allowed licences of shipped npm packages; `licenses.txt` of the UI fulfils their terms. */
const ALLOWED = new Set(["MIT", "Apache-2.0", "BSD-3-Clause", "0BSD"]);

/** The npm packages that are shipped, as the lock file has them: those below `dependencies`. */
export function shippedPackages() {
  const { packages } = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8"));
  return Object.entries(packages)
    .filter(([folder, entry]) => folder && !entry.dev)
    .map(([folder, { version, license }]) => ({
      name: folder.split("node_modules/").at(-1),
      folder,
      version,
      license,
    }));
}

/** Those whose licence is not among the allowed ones. */
export const unlicensed = (packages) => packages.filter(({ license }) => !ALLOWED.has(license));

function skipped(what, why, required) {
  if (required) throw new Error(`${what}: ${why}`);
  say(`skipped: ${what} (${why})`);
}

function deny(config, env, ...args) {
  return spawnSync("cargo", ["deny", "--color", "never", "--config", config, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
}

function denyMustPass(...args) {
  const { status, stderr, error } = deny(...args);
  if (status !== 0) throw new Error(`cargo deny refuses:\n${error?.message ?? stderr}`);
}

/** Licences, bans, origins: everything that needs no network. */
export function checkCrates(config, env = {}) {
  const strict = ["--hide-inclusion-graph", "-D", "unmatched-skip", "-D", "unnecessary-skip"];
  denyMustPass(config, env, "check", ...strict, "bans", "licenses", "sources");
}

/** Known vulnerabilities, unmaintained and yanked crates. */
export function checkCrateAdvisories(config, required, env = {}) {
  const { status, stderr } = deny(config, env, "fetch", "db");
  if (status === 0) return denyMustPass(config, env, "--offline", "check", "advisories");
  const why = stderr.match(/fatal: (.*)/)?.[1] ?? stderr.trim().split("\n").at(-1);
  skipped("advisories of crates", why, required);
}

/** The findings of `npm audit` for the shipped packages; `report` is its output as JSON. */
export function judgeAudit(report, required) {
  if (!report.metadata)
    return skipped("advisories of npm packages", report.message?.split(" - ")[0] ?? "no answer", required);
  const names = Object.keys(report.vulnerabilities);
  if (names.length > 0) throw new Error(`npm audit names ${names.join(", ")}: see npm audit --omit=dev`);
}

function audit() {
  const args = ["audit", "--omit=dev", "--json", "--fetch-retries=0", "--fetch-timeout=20000"];
  const { stdout } = spawnSync("npm", args, { cwd: root, encoding: "utf8" });
  try {
    return JSON.parse(stdout);
  } catch {
    return {};
  }
}

export async function checkSupplyChain() {
  const required = process.env.ADVISORIES === "required";
  await ensureCargoDeny();
  checkCrates("deny.toml");
  const refused = unlicensed(shippedPackages());
  if (refused.length > 0)
    throw new Error(`licence not allowed: ${refused.map((p) => `${p.name} (${p.license})`).join(", ")}`);
  checkCrateAdvisories("deny.toml", required);
  judgeAudit(audit(), required);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUp(import.meta.url, { cargoTools: false });
  await checkSupplyChain();
}
