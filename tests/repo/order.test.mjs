// The order of a program's functions (scripts/build/order.mjs).
import assert from "node:assert/strict";
import { test } from "node:test";
import { named } from "../../scripts/build/order.mjs";

const section = (id, bytes) => [id, bytes.length, ...bytes];

/** A program of functions that push and drop these numbers. */
function program(functions) {
  const bodies = functions.map((numbers) => [0, ...numbers.flatMap((number) => [0x41, number, 0x1a]), 0x0b]);
  return Buffer.from([
    ...Buffer.from("\0asm\x01\0\0\0"),
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [functions.length, ...functions.map(() => 0)]),
    ...section(10, [functions.length, ...bodies.flatMap((body) => [body.length, ...body])]),
  ]);
}

test("functions that resemble each other stand side by side, and none is lost", () => {
  const [low, high] = [
    [1, 2, 3, 4, 5, 6],
    [31, 32, 33, 34, 35, 36],
  ];
  const given = program([[...low, 7], [...high, 37], [9, ...low], [39, ...high], [], [20]]);
  const result = named(given);
  assert.deepEqual(result.subarray(0, given.length), given);
  const [names] = WebAssembly.Module.customSections(new WebAssembly.Module(result), "name");
  const places = [...Buffer.from(names).toString("latin1").matchAll(/\d{6}/g)].map(Number);
  assert.deepEqual([...places].sort(), [0, 1, 2, 3, 4, 5]);
  const [low1, high1, low2, high2] = places;
  assert.deepEqual([Math.abs(low1 - low2), Math.abs(high1 - high2)], [1, 1], String(places));
});
