// `licenses.txt` of the UI: the works that browsers receive, and their licences; MIT, BSD and Apache require this.
// The Workers are not distributed.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, run } from "../setup.mjs";
import { shippedPackages } from "./supply-chain.mjs";

/** The crates that are linked into `crate` for browsers, without macros and crates that only build or test. */
export async function linkedCrates(crate) {
  const args = [
    "metadata",
    "--locked",
    "--format-version",
    "1",
    "--filter-platform",
    "wasm32-unknown-unknown",
  ];
  const { packages, resolve, workspace_members } = JSON.parse(await run("cargo", args, { quiet: true }));
  const known = new Map(packages.map((entry) => [entry.id, entry]));
  const below = new Map(resolve.nodes.map(({ id, deps }) => [id, deps]));
  const isMacro = (id) => known.get(id).targets.some(({ kind }) => kind.includes("proc-macro"));
  const linked = new Set();
  const visit = (id) => {
    if (linked.has(id) || isMacro(id)) return;
    linked.add(id);
    for (const { pkg, dep_kinds } of below.get(id))
      if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg);
  };
  visit(packages.find(({ name }) => name === crate).id);
  return [...linked]
    .filter((id) => !workspace_members.includes(id))
    .map((id) => known.get(id))
    .map(({ name, version, license, repository, manifest_path }) => ({
      name,
      version,
      license,
      repository,
      folder: path.dirname(manifest_path),
    }));
}

/**
 * The licence files of a folder, including those in a subfolder of licences.
 * @returns {string[]}
 */
function noticesIn(folder) {
  if (!existsSync(folder)) return [];
  const named = readdirSync(folder, { withFileTypes: true }).filter(({ name }) =>
    /^(licen[cs]e|copying|notice|copyright)/i.test(name),
  );
  const sorted = named.sort((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? noticesIn(file) : [file];
  });
}

/** A package's own licence and notice; if it offers several, MIT's. */
function texts(folder) {
  const files = noticesIn(folder);
  const chosen = files.some((file) => /-mit/i.test(path.basename(file)))
    ? files.filter((file) => !/apache|copying/i.test(path.basename(file)))
    : files;
  return chosen.map((file) => readFileSync(file, "utf8").trim()).join("\n\n");
}

export async function writeLicenses(dist) {
  const crates = await linkedCrates("admin-ui");
  const packages = shippedPackages().map((entry) => ({ ...entry, folder: path.join(root, entry.folder) }));
  const byText = Map.groupBy([...packages, ...crates], ({ folder }) => texts(folder));
  const without = byText.get("") ?? [];
  byText.delete("");
  /** @param {any} entry */
  const line = ({ name, version, license, repository }) =>
    `${name} ${version} (${license})${repository ? ` ${repository}` : ""}`;
  const sections = [...byText].map(
    ([text, holders]) => `${[...new Set(holders.map(line))].join("\n")}\n\n${text}`,
  );
  const head = [
    "Token Manager's admin UI contains the following works. Its own code is under the MIT licence.",
    "Of two licences to choose from, the MIT licence was chosen where its text comes with the work, else Apache-2.0.",
    "",
    "Fonts, cut down to the letters and icons in use, from @patternfly/patternfly: Red Hat Display, Text and Mono",
    "(Red Hat) and Font Awesome Free (Fonticons), all under the SIL Open Font License 1.1, https://openfontlicense.org",
    "popper-rs-sys contains @popperjs/core 2 (Federico Zivolo, MIT), https://github.com/floating-ui/floating-ui",
    "",
    "Without a text of their own:",
    ...without.map(line),
  ].join("\n");
  writeFileSync(path.join(dist, "licenses.txt"), [head, ...sections].join(`\n\n${"-".repeat(80)}\n`) + "\n");
}
