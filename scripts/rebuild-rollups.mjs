// `npm run rebuild-rollups -- [--stage staging]`: makes the rollups anew from the raw events, for each day whose
// events are all still there. A day is one transaction; reports and the consumer go on meanwhile.
import { operate } from "./operate.mjs";

await operate(import.meta.url, {}, async ({ stage }) => {
  const { open } = await import("./deploy/account.mjs");
  const { rebuildDay, rebuildable } = await import("./deploy/rollups.mjs");
  const { plan, sql } = await open(stage);
  const [{ oldest }] = await sql("SELECT min(at) AS oldest FROM usage_events");
  if (oldest === null) return console.log("  there are no events to make them from");
  const now = Date.now();
  for (const day of rebuildable(oldest, now, Number(plan.config.env["admin-api"].vars.EVENTS_RETENTION_DAYS))) {
    await sql(rebuildDay(day, now).join(";\n"));
    const [{ calls }] = await sql(`SELECT coalesce(sum(calls), 0) AS calls FROM usage_rollups WHERE dimension = 'all' AND granularity = 'day' AND bucket_start = ${day}`);
    console.log(`  ${new Date(day).toISOString().slice(0, 10)}: ${calls} calls`);
  }
});
