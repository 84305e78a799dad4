// `npm run sbom`: the bills of materials, as CycloneDX 1.5, in `sbom/`: the crates of both Workers and of the UI, and
// the npm packages that the UI ships.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ensureCyclonedx, root, run, say, setUp } from "../setup.mjs";

const SHIPPED = ["gateway", "admin-api", "admin-ui"];

/** The folders of the workspace's members. */
function members() {
  const manifest = readFileSync(path.join(root, "Cargo.toml"), "utf8");
  const list = /^members = \[(.*?)\]/ms.exec(manifest)?.[1] ?? "";
  return [...list.matchAll(/"(.+?)"/g)].map(([, member]) => member);
}

async function crates() {
  await ensureCyclonedx();
  // It can only write one file into the folder of every member.
  const file = (member) => path.join(root, member, "sbom.tmp.json");
  const args = [
    "--format",
    "json",
    "--spec-version",
    "1.5",
    "--target",
    "wasm32-unknown-unknown",
    "--no-build-deps",
  ];
  try {
    await run("cargo", ["cyclonedx", ...args, "--override-filename", "sbom.tmp", "-q"], { quiet: true });
    // It names crates of the workspace by their path on this machine.
    const read = (member) =>
      JSON.parse(readFileSync(file(member), "utf8").replaceAll(`file://${root}`, "file://."));
    return Object.fromEntries(SHIPPED.map((member) => [member, read(member)]));
  } finally {
    for (const member of members()) rmSync(file(member), { force: true });
  }
}

async function packages() {
  const args = ["sbom", "--omit=dev", "--package-lock-only", "--sbom-format=cyclonedx", "--loglevel=error"];
  const bom = JSON.parse(await run("npm", args, { quiet: true }));
  bom.metadata.component.name = "admin-ui";
  return bom;
}

/** Writes them to `folder` and returns them by name. */
export async function writeBoms(folder) {
  const boms = { ...(await crates()), npm: await packages() };
  mkdirSync(folder, { recursive: true });
  for (const [part, bom] of Object.entries(boms)) {
    writeFileSync(path.join(folder, `${part}.cdx.json`), `${JSON.stringify(bom, null, 2)}\n`);
  }
  return boms;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUp(import.meta.url, { cargoTools: false });
  for (const [part, bom] of Object.entries(await writeBoms(path.join(root, "sbom")))) {
    say(`sbom/${part}.cdx.json: ${bom.components.length} components`);
  }
}
