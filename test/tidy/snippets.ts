/** For every rule what it must catch and what it must let pass. Never imported by other code. */
import * as banned from './banned.ts';
import * as layering from './layering.ts';
import * as size from './size.ts';
import type { Rule } from './source.ts';

export interface Snippet {
  readonly name: string;
  readonly rule: Rule;
  readonly path: string;
  readonly bad: string;
  readonly good: string;
}

const lines = (count: number) => 'step();\n'.repeat(count);

export const snippets: readonly Snippet[] = [
  {
    name: 'line length',
    rule: size.lineLength,
    path: 'control/a.ts',
    bad: `const a = ${'1 + '.repeat(30)}1;`,
    good: `// ${'x'.repeat(99)}\nconst é = '${'é'.repeat(80)}';`,
  },
  {
    name: 'file length',
    rule: size.fileLength,
    path: 'control/a.ts',
    bad: lines(501),
    good: lines(500),
  },
  {
    name: 'function length',
    rule: size.functionLength,
    path: 'control/a.ts',
    bad: `function f(a: number): number {\n${lines(69)}}\n`,
    good: `function f(a: string = "{"): Promise<void> {\n${lines(68)}}\nif (a) {\n${lines(90)}}\n`,
  },
  {
    name: 'function length of methods and arrows',
    rule: size.functionLength,
    path: 'control/a.ts',
    bad: `class A {\n  async run(a: B): Promise<Map<string, C>> {\n${lines(80)}}\n}\n`,
    good: `describe('all', () => {\n${lines(90)}});\nconst f = (a) => {\n${lines(60)}};\n`,
  },
  {
    name: 'function length of arrows with one parameter',
    rule: size.functionLength,
    path: 'control/a.ts',
    bad: `export const f = async x => {\n${lines(80)}};\n`,
    good: `for (const a of b) {\n${lines(80)}}\nconst o = {\n${lines(80)}};\n`,
  },
  {
    name: 'function length in Rust',
    rule: size.functionLength,
    path: 'aggregator/src/a.rs',
    bad: `pub fn f<T>(a: [u8; 3]) -> Result<(), E>\nwhere T: A {\n${lines(70)}}\n`,
    good: `fn f() { let a = '{'; let b = "{"; /* { */ }\nimpl A {\n${lines(90)}}\n`,
  },
  {
    name: 'function length of a verified function',
    rule: size.functionLength,
    path: 'guest/codec/src/a.rs',
    bad: `fn f() -> (r: u8)\n    ensures\n        ({ r == 1 }),\n{\n${lines(100)}}\n`,
    good: `fn f() -> (r: u8)\n    ensures\n        ({ r == 1 }),\n${lines(100)}{\n    1\n}\n`,
  },
  {
    name: 'function length after a template',
    rule: size.functionLength,
    path: 'control/a.ts',
    bad: `const f = (t) => \`"\${t.replace(/["{]/g, '}')}"\`;\nfunction g() {\n${lines(70)}}\n`,
    good: `const f = (t) => {\n  return \`\${t.replace(/["{]/g, '')}\`;\n};\n${lines(90)}`,
  },
  {
    name: 'left-over notes',
    rule: banned.leftovers,
    path: 'control/a.ts',
    bad: '// FIXME later',
    good: '// TODOS is a name',
  },
  {
    name: 'any',
    rule: banned.looseTypes,
    path: 'control/a.ts',
    bad: 'const a = b as any;',
    good: "const any = 1; // as any;\nconst b = 'x: any;'; function many(any: string) {}",
  },
  {
    name: 'any in a type argument',
    rule: banned.looseTypes,
    path: 'control/a.ts',
    bad: 'const a = new Map<string, any>();',
    good: 'const a: Promise<unknown> = Promise.any(list);',
  },
  {
    name: 'hidden type errors',
    rule: banned.looseTypes,
    path: 'control/a.ts',
    bad: '// @ts-expect-error it works\nf(1);',
    good: '// an error of ts is expected here',
  },
  {
    name: 'console',
    rule: banned.consoleUse,
    path: 'control/a.ts',
    bad: 'console.log(1);',
    good: "log.info('console.log');",
  },
  {
    name: 'clock',
    rule: banned.clockAndChance,
    path: 'workflows/a.ts',
    bad: 'const a = Date.now();',
    good: 'const a = new Date(state.at); // Date.now()',
  },
  {
    name: 'clock of workflows',
    rule: banned.clockAndChance,
    path: 'workflows/state.ts',
    bad: 'const a = new Date();',
    good: "import { now } from './clock.ts';\nconst a = now();",
  },
  {
    name: 'chance',
    rule: banned.clockAndChance,
    path: 'evolver/sampling.ts',
    bad: 'const a = Math.random();',
    good: 'const a = random.next();',
  },
  {
    name: 'clock in a manifest',
    rule: banned.clockAndChance,
    path: 'activities/sign/manifest.ts',
    bad: 'const a = new Date();',
    good: 'const a = new Date(issued);',
  },
  {
    name: 'asynchronous validator',
    rule: banned.asyncValidators,
    path: 'workflows/a.ts',
    bad: 'setHandler(u, f, { validator: async (input) => {} });',
    good: 'setHandler(u, async () => {}, { validator: (input) => check(input) });',
  },
  {
    name: 'asynchronous validator by name',
    rule: banned.asyncValidators,
    path: 'workflows/a.ts',
    bad: 'async function check(a: A) {}\nsetHandler(u, f, { validator: check });',
    good: 'function check(a: A) {}\nsetHandler(u, f, { validator: check });',
  },
  {
    name: 'unsafe',
    rule: banned.unsafeRust,
    path: 'guest/codec/src/a.rs',
    bad: 'fn f() { unsafe { g() } }',
    good: '#![forbid(unsafe_code)]\n// unsafe\nconst A: &str = "unsafe";',
  },
  {
    name: 'unsafe in guest/api',
    rule: banned.unsafeRust,
    path: 'guest/apis/src/lib.rs',
    bad: 'unsafe fn f() {}',
    good: 'fn f() {}',
  },
  {
    name: 'assumptions',
    rule: banned.assumptions,
    path: 'guest/codec/src/a.rs',
    bad: 'proof { assume(a == b); }',
    good: '// assume(a)\nfn assumed(a: u8) {}',
  },
  {
    name: 'assumptions outside the guest',
    rule: banned.assumptions,
    path: 'aggregator/src/a.rs',
    bad: 'use vstd::prelude::*;\nproof { admit(); }',
    good: 'fn f() { gate.admit(message); }',
  },
  {
    name: 'unverified bodies',
    rule: banned.assumptions,
    path: 'guest/rules/src/a.rs',
    bad: '#[verifier::external_body]\nfn f() {}',
    good: '#[verifier::external]\nfn f() {}',
  },
  {
    name: 'unwrap',
    rule: banned.panics,
    path: 'aggregator/src/a.rs',
    bad: 'fn f() { g().unwrap(); }',
    good: '#[cfg(test)]\nmod tests { fn f() { g().unwrap(); } }\nfn h() { g().unwrap_or(1); }',
  },
  {
    name: 'expect',
    rule: banned.panics,
    path: 'aggregator/src/a.rs',
    bad: 'fn f() { g().expect("works"); }',
    good: 'fn f() { g()\n.expect(\n    "invariant: checked above"); }',
  },
  {
    name: 'machine paths',
    rule: banned.machineDetails,
    path: 'README.md',
    bad: 'cd /root/ratchet',
    good: 'cd ~/root/ratchet; ls evolver/work/x https://example.com/work/x "$HOME/work/x"',
  },
  {
    name: 'registries',
    rule: banned.machineDetails,
    path: '.npmrc',
    bad: 'registry=https://registry.npmjs.org/',
    good: 'save-exact=true',
  },
  {
    name: 'workflows and activities',
    rule: layering.workflowLayer,
    path: 'workflows/a.ts',
    bad: "import { build } from '../activities/build/index.ts';",
    good: "import type { Activities } from '../activities/index.ts';\nimport { b } from './b.ts';",
  },
  {
    name: 'workflows and the outside',
    rule: layering.workflowLayer,
    path: 'workflows/a.ts',
    bad: "import {\n  readFileSync,\n} from 'node:fs';",
    good: "import { condition } from '@temporalio/workflow';\n// import 'node:fs'\n",
  },
  {
    name: 'workflows and databases',
    rule: layering.workflowLayer,
    path: 'workflows/a.ts',
    bad: "import Database from 'better-sqlite3';",
    good: 'const text = "import x from \'node:fs\'";',
  },
  {
    name: 'configuration',
    rule: layering.configurationLayer,
    path: 'control/configuration/a.ts',
    bad: "import { readFile } from 'node:fs/promises';",
    good: "import { createHash } from 'node:crypto';\nimport { b } from './b.ts';",
  },
  {
    name: 'configuration and its neighbours',
    rule: layering.configurationLayer,
    path: 'control/configuration/a.ts',
    bad: "export * from '../store/index.ts';",
    good: "import { z } from 'zod';",
  },
  {
    name: 'evolver',
    rule: layering.evolverLayer,
    path: 'evolver/a.ts',
    bad: "import type { A } from '../activities/build/index.ts';",
    good: "import { compile } from '../control/configuration/index.ts';",
  },
  {
    name: 'guest dependencies',
    rule: layering.guestDependencies,
    path: 'guest/codec/Cargo.toml',
    bad: '[dependencies]\nserde = "1"\n',
    good: '[dependencies]\nvstd = { workspace = true }\n[dev-dependencies]\nproptest = "1"\n',
  },
  {
    name: 'guest dependencies of a target',
    rule: layering.guestDependencies,
    path: 'guest/baseline/Cargo.toml',
    bad: '[target."cfg(unix)".dependencies.libc]\nversion = "1"\n',
    good: '[dependencies]\nhashbrown.workspace = true\n[features]\nlibc = []\n',
  },
  {
    name: 'payload bytes',
    rule: layering.payloadBytes,
    path: 'aggregator/src/a.rs',
    bad: 'const MAGIC: u32 = 0x31505452;',
    good: 'const MAGIC: &[u8] = b"RTC1";',
  },
];
