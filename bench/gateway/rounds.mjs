// Several targets in turn, in short slices, so that other load on the machine meets all alike; compared in pairs.
import { cpuMs, median } from "../../tests/support/runtime.mjs";

/** Calls of one target between those of the others. */
export const SLICE = 110;

const quartile = (numbers, part) =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))];

/** The median, and the quartiles as spread. */
export const summed = (numbers) => ({
  median: median(numbers),
  spread: [quartile(numbers, 0.25), quartile(numbers, 0.75)],
});

async function slice(target, { calls, connections }) {
  const cpu = cpuMs(target.pid);
  const started = performance.now();
  const times = await target.calls(calls, connections);
  const tookMs = performance.now() - started;
  return {
    rate: (calls * 1_000) / tookMs,
    cpuUs: ((cpuMs(target.pid) - cpu) * 1_000) / calls,
    firstMs: median(times.map(({ firstMs }) => firstMs)),
    ms: median(times.map(({ ms }) => ms)),
  };
}

/** The figures of `mine` beside those of `base`, the same round's of both in each pair. */
function compared(mine, base) {
  const pairs = (how) => summed(mine.map((figures, round) => how(figures, base[round])));
  return {
    rate: summed(mine.map(({ rate }) => rate)),
    cpu_us: summed(mine.map(({ cpuUs }) => cpuUs)),
    ms: summed(mine.map(({ ms }) => ms)),
    of_rate: pairs((a, b) => a.rate / b.rate),
    of_cpu: pairs((a, b) => b.cpuUs / a.cpuUs),
    more_cpu_us: pairs((a, b) => a.cpuUs - b.cpuUs),
    later_ms: pairs((a, b) => a.ms - b.ms),
    first_later_ms: pairs((a, b) => a.firstMs - b.firstMs),
  };
}

/** Measures the targets in turn, and returns the figures of each by its name, compared with the first. */
export async function inTurn(targets, { rounds, calls = SLICE, connections = 32 }) {
  for (let i = 0; i < 3; i++) for (const target of targets) await target.calls(calls, connections);
  const figures = new Map(targets.map((target) => [target, []]));
  for (let round = 0; round < rounds; round++) {
    // Each begins a round as often as the others.
    const from = round % targets.length;
    for (const target of [...targets.slice(from), ...targets.slice(0, from)])
      figures.get(target).push(await slice(target, { calls, connections }));
  }
  for (const target of targets) target.close();
  const base = figures.get(targets[0]);
  return Object.fromEntries(targets.map((target) => [target.name, compared(figures.get(target), base)]));
}
