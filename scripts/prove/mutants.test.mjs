import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { batchesOf, broken, problemOf } from './batches.mjs';
import { answerOf, verusScript, writeProgram } from './fakes.mjs';
import { runMutants } from './mutants.mjs';
import { pins } from './pins.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-mutants-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const source = `const A: u8 = 1;

verus! {

spec fn meaning() -> u8 {
    2
}

fn short() -> u8 {
    3
}

impl B {
    pub fn long(
        &self,
    ) -> (r: u8)
        ensures
            match r {
                4 => true,
            },
    {
        let c = 5;
        c + 6
    }
}

} // verus!
`;
const files = new Map([['guest/codec/src/bytes.rs', Buffer.from(source)]]);
const mutant = (old, fault = old) => ({ file: 'bytes.rs', fault, old, new: '7' });

describe('faults that share a run', () => {
  const names = (mutants) =>
    batchesOf(mutants, files).map((batch) => batch.map(({ name }) => name));
  for (const [what, mutants, expected] of [
    ['are in different functions', [mutant('3'), mutant('6')], [['short', 'long']]],
    ['never in the same', [mutant('5'), mutant('3'), mutant('6')], [['long', 'short'], ['long']]],
    ['never in a specification', [mutant('2')], []],
    ['never in a contract', [mutant('4')], []],
    ['never outside a function', [mutant('1')], []],
    ['never in two functions', [mutant('3\n}\n\nimpl B {\n    pub fn long(')], []],
    ['never where nothing is', [mutant('8')], []],
    ['never in a file that is none', [{ ...mutant('3'), file: 'a.rs' }], []],
  ]) {
    test(what, () => assert.deepEqual(names(mutants), expected));
  }

  test('are told apart by the functions that fail', () => {
    const batch = batchesOf([mutant('3'), mutant('6')], files)[0];
    const sources = broken(files, batch);
    assert.equal(sources.get('guest/codec/src/bytes.rs').toString().match(/7/g).length, 2);
    const name = (last) => `ratchet_codec::bytes::${last}`;
    const failed = (last, module = 'bytes') => [{ module, name: name(last), success: false }];
    const text =
      'error: elsewhere\n  --> guest/codec/src/bytes.rs:9:1\n\nerror: overflow\n' +
      '  --> guest/codec/src/bytes.rs:22:9\n\nnote: more\n  --> guest/codec/src/bytes.rs:22:9\n';
    const said = (functions) => batch.map((part) => problemOf(part, sources, { functions, text }));
    assert.deepEqual(said(failed('long')), [null, 'error: overflow']);
    assert.deepEqual(said(failed('short')), ['error: elsewhere', null]);
    assert.deepEqual(said(failed('long', 'zigzag')), [null, null]);
    assert.deepEqual(said([{ module: 'bytes', name: name('long'), success: true }]), [null, null]);
    assert.deepEqual(
      problemOf(batch[0], sources, { functions: failed('short'), text: '' }),
      'error: not proven',
    );
  });
});

describe('mutants', () => {
  const says = (facts, status = 0) => `echo '${answerOf(facts)}'; exit ${status}`;
  const run = async (body, mutants) => {
    const log = join(scratch, 'runs');
    rmSync(log, { force: true });
    const script = verusScript({ body: `echo "$*" >> '${log}'\n${body}` });
    const verus = { command: writeProgram(join(scratch, 'verus'), script), tools: pins };
    const results = await runMutants({ verus, files, mutants });
    const outcomes = results.map(({ fault, outcome, problem }) => [fault, outcome, problem]);
    return { outcomes, runs: readFileSync(log, 'utf8').trim().split('\n').length };
  };

  test('are refused in one run', async () => {
    const body = `echo 'error: both' >&2; ${says({ errors: 2, failed: ['short', 'long'] }, 1)}`;
    const { outcomes, runs } = await run(body, [mutant('3'), mutant('6')]);
    const problem = 'error: not proven';
    assert.deepEqual(outcomes, [
      ['3', 'refused', problem],
      ['6', 'refused', problem],
    ]);
    assert.equal(runs, 1);
  });

  test('that share a run which does not refuse them have their own', async () => {
    const file = 'guest/codec/src/bytes.rs';
    const body = `
both=$(grep -c 7 ${file})
[ "$both" = 2 ] && { echo 'error: parse' >&2; exit 1; }
grep -q 'c + 7' ${file} && { echo 'error: six' >&2; ${says({ errors: 1, whole: false }, 1)}; }
${says({})}`;
    const { outcomes, runs } = await run(body, [mutant('3'), mutant('6')]);
    assert.deepEqual(outcomes, [
      ['3', 'verified', null],
      ['6', 'refused', 'error: six'],
    ]);
    assert.equal(runs, 4);
  });

  test('outside functions are refused by their module, else by the crate', async () => {
    const part = `case "$*" in *--verify-only-module\\ bytes*) ${says({ whole: false })};; esac`;
    const body = `${part}\necho 'error: one' >&2; ${says({ errors: 1 }, 1)}`;
    const { outcomes, runs } = await run(body, [mutant('1')]);
    assert.deepEqual(outcomes, [['1', 'refused', 'error: one']]);
    assert.equal(runs, 2);
  });
});
