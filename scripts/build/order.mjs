// An order of a program's functions in which those that resemble each other stand side by side. A runtime does not care, but
// gzip finds a repetition only within 32 KB: in the order of their use the same functions take 7 % more.

/** Bytes that functions have in common, to resemble each other. */
const RUN = 6;
/** Runs that more functions have say nothing. */
const COMMON = 60;
/** How many of the functions before it the next one is to resemble, and how much less with each that lies between. */
const [BEFORE, FADES] = [8, 0.7];
/** Makes up for the few runs of a short function, all of which may occur anywhere. */
const SHORT = 50;

const [CUSTOM, CODE] = [0, 10];

/** Reads a number in LEB128. Returns it and the index behind it. */
function read(bytes, at) {
  let [value, scale] = [0, 1];
  for (; ; at += 1, scale *= 128) {
    value += (bytes[at] & 127) * scale;
    if (bytes[at] < 128) return [value, at + 1];
  }
}

/** Writes a number in LEB128. */
const written = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...written(value >>> 7)]);

const sized = (bytes) => [...written(bytes.length), ...bytes];

/** Returns the code of each function. */
function bodies(program) {
  for (let at = 8; at < program.length; ) {
    const [length, begin] = read(program, at + 1);
    if (program[at] === CODE) {
      const [count, first] = read(program, begin);
      let next = first;
      return Array.from({ length: count }, () => {
        const [size, from] = read(program, next);
        next = from + size;
        return program.subarray(from, next);
      });
    }
    at = begin + length;
  }
  return [];
}

/** Returns the different runs of each function's bytes, as numbers. */
const runsOf = (functions) =>
  functions.map((body) => {
    const runs = new Set();
    for (let at = 0; at + RUN <= body.length; at += 1) runs.add(body.readUIntBE(at, RUN));
    return [...runs];
  });

/** Returns the functions that have each run. */
function holdersOf(runs) {
  const holders = new Map();
  for (const [index, own] of runs.entries())
    for (const run of own) {
      const known = holders.get(run);
      if (known) known.push(index);
      else holders.set(run, [index]);
    }
  return holders;
}

/** Returns the indices of the functions, each behind those which it resembles most. */
function order(functions) {
  const runs = runsOf(functions);
  const holders = holdersOf(runs);
  const telling = runs.map((own) => own.map((run) => holders.get(run)).filter(({ length }) => length <= COMMON));
  const left = new Set([...functions.keys()].sort((a, b) => functions[b].length - functions[a].length));
  const ordered = [];
  while (left.size > 0) {
    const scores = new Map();
    ordered.slice(-BEFORE).reverse().forEach((before, distance) => {
      for (const others of telling[before])
        for (const other of others)
          if (left.has(other)) scores.set(other, (scores.get(other) ?? 0) + FADES ** distance);
    });
    // The largest if there is nothing alike.
    let [next] = left;
    let best = 0;
    for (const [index, score] of scores) {
      const likeness = score / (runs[index].length + SHORT);
      if (likeness > best) [next, best] = [index, likeness];
    }
    left.delete(next);
    ordered.push(next);
  }
  return ordered;
}

/** Returns the program with names that sort its functions so (wasm-opt's `--reorder-functions-by-name`). */
export function named(program) {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(program));
  const first = imports.filter(({ kind }) => kind === "function").length;
  const names = order(bodies(program))
    .map((index, place) => [first + index, String(place).padStart(6, "0")])
    .sort(([a], [b]) => a - b);
  const entries = names.flatMap(([index, name]) => [...written(index), ...sized([...Buffer.from(name)])]);
  const section = [...sized([...Buffer.from("name")]), 1, ...sized([...written(names.length), ...entries])];
  return Buffer.concat([program, Buffer.from([CUSTOM, ...sized(section)])]);
}
