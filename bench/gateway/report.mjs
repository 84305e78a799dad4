// The figures as tables.
const whole = (number) => number.toFixed(0);
const two = (number) => number.toFixed(2);

const written = ({ median, spread: [low, high] }, how) => `${how(median)} (${how(low)} to ${how(high)})`;

function table(title, figures) {
  const lines = [
    `| ${title} | calls/s | of bare JavaScript | CPU a call, µs | of bare JavaScript | more CPU, µs |`,
    "|---|---|---|---|---|---|",
  ];
  for (const [name, { rate, of_rate, cpu_us, of_cpu, more_cpu_us }] of Object.entries(figures)) {
    const cells = [
      written(rate, whole),
      written(of_rate, two),
      written(cpu_us, whole),
      written(of_cpu, two),
      written(more_cpu_us, whole),
    ];
    lines.push(`| ${name} | ${cells.join(" | ")} |`);
  }
  return [...lines, ""];
}

function latencies(title, figures, than = "bare JavaScript") {
  const lines = [`| ${title} | p50, ms | later than ${than}, ms | its first byte |`, "|---|---|---|---|"];
  for (const [name, { ms, later_ms, first_later_ms }] of Object.entries(figures))
    lines.push(
      `| ${name} | ${written(ms, two)} | ${written(later_ms, two)} | ${written(first_later_ms, two)} |`,
    );
  return [...lines, ""];
}

/** All results as Markdown; spreads are quartiles of the rounds. */
export function report({ rounds, connections, cores, load, latency, feed, ai, kv_reads }) {
  return [
    `${rounds} rounds, ${connections} connections, ${cores} cores shared by all; medians, quartiles in brackets`,
    "",
    ...Object.entries(load).flatMap(([title, figures]) => table(title, figures)),
    ...latencies("one connection", latency),
    ...(feed ? latencies("one connection", feed, "without") : []),
    ...(ai ? [...table("AI call, streamed", ai), ...latencies("AI call, streamed", ai)] : []),
    ...(kv_reads
      ? [
          `KV reads: ${kv_reads.warm.toFixed(3)} per warm call, ${kv_reads.forged.toFixed(3)} per forged token.`,
        ]
      : []),
  ].join("\n");
}
