// Older builds of both Workers, for tests that run one beside the newest. It takes minutes, so a test asks for one only
// when its environment names a commit.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { root, run, targetDir, tools } from "../../scripts/setup.mjs";

/** The folder that holds `gateway/build` and `admin-api/build` of a commit; built once, unoptimised. */
export async function buildOf(commit) {
  const id = execFileSync("git", ["rev-parse", "--verify", `${commit}^{commit}`], { cwd: root, encoding: "utf8" }).trim();
  const folder = path.join(root, ".wrangler/builds", id);
  const isBuilt = (env) => existsSync(path.join(folder, env, "build/index.js"));
  if (isBuilt("gateway") && isBuilt("admin-api")) return folder;
  mkdirSync(folder, { recursive: true });
  await run("sh", ["-c", `git archive ${id} | tar -x -C "${folder}"`], { quiet: true });
  if (!existsSync(path.join(folder, "node_modules"))) symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  const env = { BUILD: "quick", TOKEN_MANAGER_TOOLS: tools, CARGO_TARGET_DIR: targetDir };
  await run(process.execPath, ["scripts/build.mjs", "gateway", "admin-api"], { cwd: folder, quiet: true, env });
  return folder;
}
