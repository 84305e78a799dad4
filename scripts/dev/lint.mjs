// `npm test -- lint`: everything about the sources that needs no test to run.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { ensureTarget, root, run, say, setUp, targetDir } from "../setup.mjs";
import { checkSupplyChain } from "../supply/supply-chain.mjs";

const WASM = ["edge", "gateway", "admin-api", "admin-ui", "rust-pass-through"].flatMap((crate) => [
  "-p",
  crate,
]);
const JAVASCRIPT = ["gateway/js", "scripts", "local", "bench", "tests", "eslint.config.mjs"];

const cargo = (args, env = {}) =>
  run("cargo", args, { quiet: true, env: { CARGO_TARGET_DIR: targetDir, ...env } });
const npm = (command, ...args) => run(path.join(root, "node_modules/.bin", command), args, { quiet: true });

/** Documentation is always made with private items, so links to them hold. */
const DOC = { RUSTDOCFLAGS: "-D warnings -A rustdoc::private_intra_doc_links" };

/** Fails if a crate of pure decisions depends on the platform. */
async function isFreeOfThePlatform(crate) {
  const tree = await cargo(["tree", "-p", crate, "--target", "wasm32-unknown-unknown", "-e", "normal"]);
  const found = tree.match(/^.*(wasm-bindgen|js-sys|web-sys|worker|yew) v.*$/m);
  if (found) throw new Error(`${crate} depends on the platform: ${found[0]}`);
}

/** Fails if both Workers depend on a crate with different features: it and all above it would be compiled twice. */
async function areCompiledOnce() {
  const how = ["--target", "wasm32-unknown-unknown", "-e", "normal,no-proc-macro", "--prefix", "none"];
  const [ours, theirs] = await Promise.all(
    ["gateway", "admin-api"].map(async (crate) => {
      const tree = await cargo(["tree", "-p", crate, ...how, "-f", "{p}: {f}"]);
      return new Map(
        [...tree.matchAll(/^(\w\S* v\S+).*?: (.*?)(?: \(\*\))?$/gm)].map(([, name, features]) => [
          name,
          features,
        ]),
      );
    }),
  );
  const twice = [...ours].filter(([name, features]) => (theirs.get(name) ?? features) !== features);
  if (ours.size < 50 || twice.length > 0)
    throw new Error(`features differ: ${twice.map(([name]) => name).join(", ")}`);
}

/** Fails if a crate names a dependency that none of its sources uses. */
async function usesItsDependencies() {
  const { packages } = JSON.parse(await cargo(["metadata", "--no-deps", "--format-version=1"]));
  for (const { name, manifest_path, dependencies } of packages) {
    const folder = path.dirname(manifest_path);
    const own = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
      /^(src|tests|benches|build)\b.*\.rs$/.test(file),
    );
    const source = own.map((file) => readFileSync(path.join(folder, file), "utf8")).join("\n");
    const unused = dependencies
      .map((one) => (one.rename ?? one.name).replaceAll("-", "_"))
      .filter((one) => !new RegExp(`\\b${one}\\b`).test(source));
    if (unused.length > 0) throw new Error(`${name} does not use ${unused.join(", ")}`);
  }
}

const CHECKS = {
  "cargo fmt": async () => {
    for (const more of [[], ["--manifest-path", "scripts/build/bindgen/Cargo.toml"]])
      await run("cargo", ["fmt", "--all", "--check", ...more], { quiet: true });
  },
  eslint: () => npm("eslint", "--max-warnings=0", ...JAVASCRIPT),
  tsc: () => npm("tsc", "--project", "jsconfig.json"),
  "free of the platform": async () => {
    for (const crate of ["domain", "contract"]) await isFreeOfThePlatform(crate);
  },
  "used dependencies": usesItsDependencies,
  "compiled once": areCompiledOnce,
  "clippy, native": () => cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
  prettier: () => npm("prettier", "--check", "--log-level=warn", ...JAVASCRIPT),
  "clippy, wasm32": () =>
    cargo(["clippy", ...WASM, "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]),
  "cargo doc": () => cargo(["doc", "--workspace", "--no-deps", "--document-private-items"], DOC),
  "supply chain": checkSupplyChain,
};

await setUp(import.meta.url, { cargoTools: false });
await ensureTarget();
const failed = [];
// Every one, whatever another said: one run shows all there is to put right.
for (const [name, check] of Object.entries(CHECKS)) {
  const started = Date.now();
  await check().catch((error) => {
    failed.push(name);
    console.error(`✗ lint, ${name}: ${error.message}`);
  });
  say(`lint, ${name}: ${((Date.now() - started) / 1000).toFixed(0)} s`);
}
if (failed.length > 0) {
  console.error(`Not passed: ${failed.join(", ")}`);
  process.exit(1);
}
