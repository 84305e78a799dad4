// `npm run republish -- [--stage staging]`: writes everything that KV is to hold once more, from D1, as after a loss
// of the namespace. Nothing is granted by it that D1 does not grant.
import { readFileSync } from "node:fs";
import { operate, waitUntil } from "./operate.mjs";

await operate(import.meta.url, {}, async ({ stage }) => {
  const { open, sqlFile } = await import("./deploy/account.mjs");
  const { sql } = await open(stage);
  const started = Date.now();
  await sql(readFileSync(sqlFile("republish.sql"), "utf8"));
  console.log("  asked for; the cron writes within a minute");
  await waitUntil(async () => {
    const [{ pending }] = await sql("SELECT count(*) AS pending FROM outbox");
    return pending === 0 ? null : `${pending} entries to be written`;
  });
  console.log(`  KV holds what D1 says, after ${Math.round((Date.now() - started) / 1_000)} s; the edge shows it within 40 s`);
});
