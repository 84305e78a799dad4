// The style sheet without what no page can use (scripts/build/purge.mjs).
import assert from "node:assert/strict";
import { test } from "node:test";
import { purge } from "../../scripts/build/purge.mjs";

const cut = (css) => purge(css, `class="box is-wide" style="--of-source: 1"`, `"lib-mark"`);

test("rules of classes that nothing names go, and with them what only they needed", () => {
  assert.equal(cut(".box{color:red}.other{color:blue}"), ".box{color:red}");
  assert.equal(cut(".box,.other{a:b}"), ".box{a:b}");
  assert.equal(cut(".box.other{a:b}.box .lib-mark{a:b}"), ".box .lib-mark{a:b}");
  assert.equal(cut("@media (a){.other{a:b}}@media (b){.other{a:b}.box{a:b}}"), "@media (b){.box{a:b}}");
  assert.equal(
    cut(":root{--a:1;--b:var(--a);--c:2;--of-source:0}.box{x:var(--b)}"),
    ":root{--a:1;--b:var(--a);--of-source:0}.box{x:var(--b)}",
  );
});

test("whatever may apply stays", () => {
  for (const css of [
    "html{a:b}",
    '@charset "utf-8";.box{a:b}',
    ".box:not(.other){a:b}",
    ".box:is(.other,.third){a:b}",
    ":where(.theme) .box{a:b}",
    ".is-wide-on-lg{a:b}",
    ".fa-box:before{a:b}",
    '.box:before{content:".other{}"}',
    "@font-face{font-family:x}@keyframes turn{to{a:b}}",
    '.box{--x:url("data:a;b");y:var(--x)}',
  ])
    assert.equal(cut(css), css);
});
