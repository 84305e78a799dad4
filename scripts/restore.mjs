// `npm run restore -- --timestamp 2026-11-20T08:00:00Z [--stage staging]`: D1 back to a point in time (Time Travel, the
// last 30 days), and KV with it. What was revoked, disabled or rotated out since then stays refused: a database of
// yesterday must not bring a leaked token back to life.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { operate, waitUntil } from "./operate.mjs";
import { root } from "./setup.mjs";

await operate(import.meta.url, { timestamp: { type: "string" } }, async ({ stage, timestamp }) => {
  const { Stop } = await import("./deploy/stage.mjs");
  const { open, sqlFile } = await import("./deploy/account.mjs");
  const { REFUSED, refuseAgain } = await import("./deploy/refused.mjs");
  const { wrangler } = await import("./deploy/wrangler.mjs");
  if (!timestamp || Number.isNaN(Date.parse(timestamp))) throw new Stop("--timestamp says to which moment: 2026-11-20T08:00:00Z");
  const { sql, withConfig } = await open(stage);

  const kept = path.join(root, ".wrangler", `refused-${stage}.json`);
  const [refused] = await sql(REFUSED);
  writeFileSync(kept, JSON.stringify(refused), { mode: 0o600 });
  console.log(`  what is refused now is kept in ${path.relative(root, kept)}`);
  await wrangler(["d1", "time-travel", "restore", "DB", "--timestamp", timestamp, ...withConfig]);
  console.log(`  the database is as it was at ${timestamp}`);
  for (const statement of refuseAgain(refused)) await sql(statement);
  console.log("  what was refused is refused again");
  await sql(readFileSync(sqlFile("republish.sql"), "utf8"));
  await waitUntil(async () => {
    const [{ pending }] = await sql("SELECT count(*) AS pending FROM outbox");
    return pending === 0 ? null : `${pending} entries to be written to KV`;
  });
  console.log("  KV holds what D1 says");
});
