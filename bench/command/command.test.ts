import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import {
  type Command,
  choices,
  directory,
  integer,
  type Outcome,
  run,
  UsageError,
} from './index.ts';

const FLAGS = { rounds: { type: 'string', default: '3' } } as const;

function bench(measure: () => Promise<Outcome>): Command<typeof FLAGS, { rounds: number }> {
  return {
    name: 'sample',
    help: 'Usage\n',
    flags: FLAGS,
    options: ({ rounds }) => ({ rounds: integer('--rounds', rounds, 1, 9) }),
    measure: async ({ rounds }) => {
      const outcome = await measure();
      return { ...outcome, metrics: { rounds, ...outcome.metrics } };
    },
  };
}

interface Case {
  args: string[];
  measure?: () => Promise<Outcome>;
  interrupted?: true;
  status: number;
  out: string;
  err: RegExp;
}

const fine = async () => ({ metrics: { ratio: 2.5 } });
const broken = async () => Promise.reject(new Error('no server'));

const cases: Record<string, Case> = {
  'without --json nothing is on standard output': { args: [], status: 0, out: '', err: /^$/ },
  'the last line holds the metrics': {
    args: ['--json', '--rounds', '5'],
    status: 0,
    out: '{"bench":"sample","metrics":{"rounds":5,"ratio":2.5}}\n',
    err: /^$/,
  },
  'what fails its promise has its figures told, too': {
    args: ['--json'],
    measure: async () => ({ metrics: { equal: false }, failed: true }),
    status: 1,
    out: '{"bench":"sample","metrics":{"rounds":3,"equal":false}}\n',
    err: /^$/,
  },
  'help is printed whatever the rest is': {
    args: ['-h', '--rounds', 'x'],
    status: 0,
    out: 'Usage\n',
    err: /^$/,
  },
  'a bad value is named': {
    args: ['--rounds', '10'],
    status: 2,
    out: '',
    err: /^bench sample: --rounds must be a whole number from 1 to 9, not "10"\n$/,
  },
  'an unknown option is named': {
    args: ['--seconds', '1'],
    status: 2,
    out: '',
    err: /^bench sample: .*'--seconds'/,
  },
  'an argument is named': { args: ['a'], status: 2, out: '', err: /^bench sample: .*'a'/ },
  'a fault is told with where it was': {
    args: [],
    measure: broken,
    status: 1,
    out: '',
    err: /^bench sample: Error: no server\n +at /,
  },
  'an interrupted bench says no more': {
    args: ['--json'],
    measure: broken,
    interrupted: true,
    status: 130,
    out: '',
    err: /^bench sample: interrupted\n$/,
  },
};

for (const [name, { args, measure = fine, interrupted, status, out, err }] of Object.entries(cases))
  test(name, async () => {
    const [printed, warned]: [string[], string[]] = [[], []];
    const interrupt = new AbortController();
    if (interrupted) interrupt.abort();
    const code = await run(bench(measure), args, {
      print: (text) => printed.push(text),
      warn: (text) => warned.push(text),
      signal: interrupt.signal,
    });
    assert.deepEqual([code, printed.join('')], [status, out]);
    assert.match(warned.join(''), err);
  });

test('whole numbers', () => {
  assert.equal(integer('--n', '07', 1, 9), 7);
  for (const text of ['', ' 1', '1.0', '-1', '1e0', 'one', '0', '10']) {
    assert.throws(() => integer('--n', text, 1, 9), UsageError, text);
  }
});

test('lists of known words', () => {
  const known = ['a', 'b', 'c'] as const;
  assert.deepEqual(choices('--of', 'c,a', known), ['a', 'c']);
  for (const text of ['', 'a,', 'a,a', 'd', 'A', 'a b']) {
    assert.throws(() => choices('--of', text, known), UsageError, text);
  }
});

test('a directory is one to write to', () => {
  assert.equal(directory('--in', tmpdir()), tmpdir());
  for (const path of ['/nowhere', import.meta.filename, '']) {
    assert.throws(() => directory('--in', path), { name: 'UsageError', message: /--in .*not "/ });
  }
});
