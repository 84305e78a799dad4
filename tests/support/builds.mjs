// Older builds of both Workers, for tests that run one beside the newest. It takes minutes, so a test asks for one only
// when its environment names a commit.
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { root, run, targetDir, tools } from "../../scripts/setup.mjs";

const bin = (name) => path.join(root, "node_modules/.bin", name);

/** The profile of `BUILD=quick`, which older commits lack. */
const quick = () => /^\[profile\.quick\]\n(.+\n)+/m.exec(readFileSync(path.join(root, "Cargo.toml"), "utf8"))[0];

/** The folder that holds `gateway/build` and `admin-api/build` of a commit; built once, unoptimised. */
export async function buildOf(commit) {
  const id = execFileSync("git", ["rev-parse", "--verify", `${commit}^{commit}`], { cwd: root, encoding: "utf8" }).trim();
  const folder = path.join(root, ".wrangler/builds", id);
  const manifest = path.join(folder, "Cargo.toml");
  if (!existsSync(manifest)) {
    mkdirSync(folder, { recursive: true });
    await run("sh", ["-c", `git archive ${id} | tar -x -C "${folder}"`], { quiet: true });
    if (!readFileSync(manifest, "utf8").includes("[profile.quick]")) appendFileSync(manifest, `\n${quick()}`);
  }
  const env = { WASM_BINDGEN_BIN: path.join(tools, "bin/wasm-bindgen"), ESBUILD_BIN: bin("esbuild"), CARGO_TARGET_DIR: targetDir };
  for (const crate of ["gateway", "admin-api"]) {
    const cwd = path.join(folder, crate);
    if (existsSync(path.join(cwd, "build/index.js"))) continue;
    await run(path.join(tools, "bin/worker-build"), ["--profile", "quick", "--no-opt"], { cwd, quiet: true, env });
  }
  return folder;
}
