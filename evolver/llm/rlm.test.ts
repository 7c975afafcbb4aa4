/** The exploring arm: programs in an interpreter, against a server that speaks the Messages API. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Archive } from '../archive.ts';
import { SOURCE_LIMIT } from '../mutator.ts';
import { seedRandom } from '../random.ts';
import { configurationOf, EXPLORE, MODEL, type Rig, rig } from './test/rig.ts';
import { cell, type Reply, say } from './test/server.ts';

const SUBMIT = cell(`submit({
  summary: 'one more constant',
  edits: [{
    search: '#![forbid(unsafe_code)]',
    replace: '#![forbid(unsafe_code)]\\nconst _N: u32 = 1;',
  }],
})`);
const CONVERSATION = `acme/gen/2/c1/rlm/${MODEL}`;

/** Cells in turn; sub-calls are answered apart. */
async function run(
  context: TestContext,
  cells: (Reply | string)[],
  settings: Record<string, unknown> = {},
  prepare: (rig: Rig) => Promise<void> | void = () => undefined,
) {
  let next = 0;
  const made = await rig(
    context,
    (asked) => {
      if (asked.tools === undefined) return say(`about ${asked.messages[0]?.content}`);
      const reply = cells[next++] ?? say('I am done.');
      return typeof reply === 'string' ? cell(reply) : reply;
    },
    settings,
  );
  await prepare(made);
  const proposal = await made.mutator.propose(made.request(EXPLORE));
  return { ...made, proposal, told: toolResults(made) };
}

/** What the model was told of each cell, in turn. */
function toolResults({ server }: Rig): string[] {
  const turns = server.asked.filter(({ tools }) => tools !== undefined);
  const results = turns
    .at(-1)
    ?.messages.flatMap(({ content }) =>
      typeof content === 'string' ? [] : content.filter(({ type }) => type === 'tool_result'),
    );
  return (results ?? []).map(({ content }) => String(content));
}

test('a good rewrite after exploration', async (context) => {
  const { proposal, told, journal, bill, request, again, server } = await run(context, [
    'const paths = repo.list(); paths.length > 20 && paths.every((p) => p.startsWith("guest/"))',
    'repo.read("guest/api/src/meaning.rs", 1, 2) + repo.grep("pub fn max")[0]',
    'repo.outline("guest/api/src/records.rs").length + " " + spec().includes("metric_rules")',
    'JSON.stringify([archive.top(3), git.log(), profile.traffic().points, lastErrors()])',
    'notes.set("dense cells pay"); print(budget()); parent().includes("forbid(unsafe_code)")',
    'llmBatch(["one", "two"])[1] + llm("three")',
    SUBMIT,
  ]);
  assert.ok('source' in proposal, JSON.stringify(proposal));
  assert.match(proposal.source, /^#!\[forbid\(unsafe_code\)\]\nconst _N: u32 = 1;\n/);
  assert.equal(proposal.operator, 'rlm:diff');
  assert.equal(proposal.charge?.microUsd, bill());
  assert.match(told[0] ?? '', /^<data-[0-9a-f]{24} label="output of the cell">\ntrue\n</);
  assert.match(told[1] ?? '', /\/\/! The meaning of aggregates[\s\S]*meaning.rs:5: pub fn max/);
  assert.match(told[2] ?? '', /\n\d+ true\n/);
  assert.match(told[3] ?? '', /\[\[\],\[\],\{"median":200,"max":200\},\[\]\]/);
  assert.match(
    told[4] ?? '',
    /"turns": 15[\s\S]*"sub_calls": 50[\s\S]*"money": "\$1\.\d+"[\s\S]*true/,
  );
  assert.match(told[5] ?? '', /about twoabout three/);
  assert.equal(journal.notes('acme'), 'dense cells pay');
  const calls = journal.calls(CONVERSATION).map(({ turn, model }) => `${turn} ${model}`);
  assert.ok(calls.includes('5.0/s2 claude-haiku-5-5'), calls.join());
  const asked = server.asked.length;
  assert.deepEqual(await again().propose(request(EXPLORE)), proposal);
  assert.equal(server.asked.length, asked, 'nothing is paid twice');
});

const harmful: Record<string, { cell: string; told: RegExp; settings?: Record<string, number> }> = {
  'an endless loop': {
    cell: 'try { for (;;) {} } catch { for (;;) {} }',
    told: /interrupted|stopped after 1 s/,
    settings: { cell_seconds: 1 },
  },
  'a memory bomb': {
    cell: 'const hoard = []; for (;;) hoard.push(new Array(1e6).fill("x".repeat(1000)));',
    told: /out of memory|interrupted|the interpreter ended/,
    settings: { cell_seconds: 2, memory_mib: 8 },
  },
  'one huge string': {
    cell: 'let s = "x"; for (;;) s += s;',
    told: /out of memory|string too long|interrupted|the interpreter ended/,
    settings: { cell_seconds: 2, memory_mib: 8 },
  },
  'a flood of output': {
    cell: 'for (let i = 0; i < 1e5; i++) print("flood ".repeat(20)); 1',
    told: /flood flood[a-z \n]+\n\[output cut\]/,
    settings: { output_chars: 1_000 },
  },
  'a flood of host calls': { cell: 'for (;;) repo.list()', told: /more than 200 calls/ },
  'endless recursion': {
    cell: 'const f = () => f() + 1; f()',
    told: /stack|the interpreter ended/,
  },
  'a way out': {
    cell: 'print(typeof process, typeof require, typeof fetch, typeof std); import("fs")',
    told: /undefined undefined undefined undefined/,
  },
  'broken code': { cell: 'const = 1', told: /SyntaxError/ },
  'a wrong argument': { cell: 'repo.read(7)', told: /argument 0: Invalid input/ },
  'a path outside': { cell: 'repo.read("../../etc/passwd")', told: /there is no \.\.\/\.\.\/etc/ },
  'the candidate of nobody': {
    cell: 'archive.get("globex/gen/1/c0")',
    told: /no candidate globex/,
  },
  'an edit outside the file': {
    cell: 'submit({ path: "guest/api/src/lib.rs", content: "x" })',
    told: /outside-file: an edit of "guest\/api\/src\/lib.rs"/,
  },
  'a file over 16 KB': {
    cell: `submit({ content: parent() + "// " + "x".repeat(${SOURCE_LIMIT}) })`,
    told: /too-large: .* fewer than 16384/,
  },
  'a fixed clock and a fixed chance': {
    cell: '[Date.now(), new Date().getTime(), Math.random().toFixed(3)].join()',
    told: /\n0,0,0\.\d{3}\n/,
  },
};

for (const [name, { cell: code, told: expected, settings = {} }] of Object.entries(harmful)) {
  test(`${name} is told, and the work goes on`, async (context) => {
    const made = await run(context, [code, SUBMIT], { exploration: settings });
    assert.match(made.told[0] ?? '', expected);
    assert.ok('source' in made.proposal, JSON.stringify(made.proposal));
    assert.equal(made.proposal.charge?.microUsd, made.bill());
  });
}

test('a flood of sub-calls ends at its limit, each booked and charged', async (context) => {
  const { proposal, told, server, bill, journal } = await run(
    context,
    [
      'let n = 0; try { for (;;) { llm("again " + n); n += 1; } } catch (e) { n + e.message }',
      SUBMIT,
    ],
    { exploration: { sub_calls: 5 } },
  );
  assert.match(told[0] ?? '', /5the 5 sub-calls of a conversation are used up/);
  assert.equal(server.asked.filter(({ tools }) => tools === undefined).length, 5);
  assert.ok('source' in proposal);
  assert.equal(proposal.charge?.microUsd, bill());
  assert.equal(journal.spent('acme'), bill());
});

test('sub-calls stop where the money does', async (context) => {
  const code =
    'let n = 0; try { for (;;) { llm("x".repeat(30000)); n += 1; } } catch (e) { e.message }';
  const { proposal, journal, server } = await run(context, [code, SUBMIT], {
    budget: { organization_usd: 10, proposal_usd: 0.6 },
    exploration: { sub_calls: 500 },
    models: [
      { id: MODEL },
      {
        id: 'dear',
        weight: 0,
        usd_per_mtok: { input: 5, cache_write: 5, cache_read: 5, output: 9 },
      },
    ],
    sub_model: 'dear',
  });
  const told = journal.told(CONVERSATION, 'cell/0.0') ?? '';
  assert.match(told, /the proposal's budget of \$0.60 has/);
  // Then there is not enough for another turn either: that is the verdict.
  assert.ok('none' in proposal);
  assert.match(proposal.none, /^budget: the proposal's budget/);
  assert.ok(server.asked.length > 3);
  assert.ok(journal.spent('acme') <= 600_000);
});

test('malformed input, a tool that is none, and too many cells are told', async (context) => {
  const odd: Reply = {
    say: [
      { tool: 'repl_exec', broken: '{"code": "1' },
      { tool: 'shell', input: { code: 'ls' } },
      { tool: 'repl_exec', input: { cmd: 1 } },
      { tool: 'repl_exec', input: { code: '40 + 2' } },
      { tool: 'repl_exec', input: { code: '1' } },
    ],
  };
  const { told, proposal } = await run(context, [odd, SUBMIT]);
  assert.deepEqual(told.map((text) => text.replaceAll(/<[^>]+>|\n/g, '')).slice(0, 5), [
    'the input is not valid JSON',
    'there is no tool shell',
    'the input has no text `code`',
    '42',
    'not run: at most 4 cells a turn',
  ]);
  assert.ok('source' in proposal);
});

const endless: Record<string, { cells: (Reply | string)[]; reason: RegExp }> = {
  'turns are used up': {
    cells: ['1', '2', '3'],
    reason: /nothing was submitted; 3 turns are used/,
  },
  'the last refusal is the reason': {
    cells: ['submit({ path: "spec.rs", content: "x" })', '1', '2'],
    reason: /^outside-file: an edit of "spec.rs".*; 3 turns/,
  },
  'a model that only talks is reminded, then left': {
    cells: [say('Well.'), say('Hm.'), say('So.')],
    reason: /nothing was submitted/,
  },
  'a refusal ends it': { cells: ['1', { say: [], refusal: 'bio' }], reason: /^declined: bio$/ },
};

for (const [name, { cells, reason }] of Object.entries(endless)) {
  test(`${name}: no proposal, all of it charged`, async (context) => {
    const { proposal, bill } = await run(context, cells, { exploration: { turns: 3 } });
    assert.ok('none' in proposal);
    assert.match(proposal.none, reason);
    assert.equal(proposal.charge?.microUsd, bill());
  });
}

test('after a crash it goes on with its variables, and pays nothing twice', async (c) => {
  const cells = [
    'let found = repo.grep("pub fn min"); let n = llm("q").length',
    'found.length + n',
  ];
  const [first = '', second = ''] = cells;
  const turns: Reply[] = [
    cell(first),
    { status: 401, type: 'authentication_error' },
    cell(second),
    SUBMIT,
  ];
  let next = 0;
  const made = await rig(c, (asked) => {
    return asked.tools === undefined ? say('sub') : (turns[next++] ?? say('no'));
  });
  await assert.rejects(made.mutator.propose(made.request(EXPLORE)), { code: 'auth' });
  const proposal = await made.again().propose(made.request(EXPLORE));
  assert.ok('source' in proposal);
  assert.match(toolResults(made)[1] ?? '', /\n4\n/);
  const asked = made.server.asked.map(
    ({ tools, messages }) => `${tools?.length ?? 's'}${messages.length}`,
  );
  assert.deepEqual(asked, ['11', 's1', '13', '13', '15']);
  assert.equal(proposal.charge?.microUsd, made.bill());
});

test('a failed check goes back; the conversation goes on from its cells', async (context) => {
  const turns = ['let kept = 41', SUBMIT, 'kept + 1', SUBMIT];
  let next = 0;
  const made = await rig(context, () => {
    const reply = turns[next++] ?? say('no');
    return typeof reply === 'string' ? cell(reply) : reply;
  });
  const one = await made.mutator.propose(made.request(EXPLORE));
  const failures = ['error[E0425]: cannot find value\n --> aggregate.rs:3:1'];
  const two = await made.again().propose(made.request(EXPLORE, { failures }));
  assert.ok('source' in one && 'source' in two);
  assert.match(
    JSON.stringify(made.server.asked[2]?.messages.at(-1)),
    /label=.*E0425.*aggregate.rs:3/,
  );
  assert.match(toolResults(made)[2] ?? '', /\n42\n/);
  const charges = [one, two].map(({ charge }) => charge?.microUsd ?? 0);
  assert.equal((charges[0] ?? 0) + (charges[1] ?? 0), made.bill());
});

/** A candidate that failed at every gate that there is, each with a text of its own. */
function failed(archive: Archive): void {
  const { digest } = configurationOf();
  const id = 'acme/gen/1';
  const random = seedRandom('x');
  archive.startGeneration({ id, configuration: digest, parent: null, random, startedAtMs: 1 });
  const who = { mutator: 'builtin', operator: 'seed', parent: null } as const;
  archive.recordCandidate({ id: `${id}/c0`, source: 'none', ...who, createdAtMs: 1 });
  archive.recordResult(`${id}/c0`, { ratioToBaseline: 2 });
  for (const gate of ['source', 'build', 'benchmark', 'shadow', 'live', 'promotion']) {
    const verdict = { gate, passed: false, verdict: 'fail', text: `canary-${gate}`, atMs: 1 };
    archive.recordVerdict(`${id}/c0`, verdict);
  }
}

test('of held-back and live traffic a model gets a word, and no text', async (context) => {
  const { told, server } = await run(
    context,
    [
      '[archive.siblings("acme/gen/1/c0"), lastErrors()].map((x) => JSON.stringify(x)).join()',
      SUBMIT,
    ],
    {},
    ({ archive }) => failed(archive),
  );
  assert.match(told[0] ?? '', /build: fail: canary-build/);
  assert.match(told[0] ?? '', /shadow: fail"/);
  assert.doesNotMatch(JSON.stringify(server.asked), /canary-(shadow|live|promotion)/);
});

/** A commit of a generation whose best candidate has a source of its own. */
async function committed({ lineage }: Rig, number: number): Promise<void> {
  const generation = `acme/gen/${number}`;
  const figures = { ratio: number, ci95: null, ratio_to_baseline: number };
  const who = { slot: 0, mutator: 'builtin', operator: 'seed', model: null, summary: 'faster' };
  await lineage.commitGeneration({
    ...{ generation, configuration: configurationOf().digest, outcome: 'promoted' },
    ...{ specRs: 'spec', seedRs: 'seed', rejected: [], committedAtMs: 1_000 * number },
    best: {
      ...{ ...who, id: `${generation}/c0`, source: `version ${number}`, figures },
      ...{ digest: 'd', module: null, parent: null, refused: null, reason: null },
    },
  });
}

test('the history: generations, and what each changed', async (context) => {
  const { told } = await run(
    context,
    [
      'git.log().map(({ trailers }) => trailers.Generation).join()',
      'const { before, after } = git.diff(2); before + " → " + after',
      'git.diff("7")',
      SUBMIT,
    ],
    {},
    async (made) => {
      for (const number of [1, 2]) await committed(made, number);
    },
  );
  assert.match(told[0] ?? '', /\n(acme\/gen\/)?2,(acme\/gen\/)?1\n/);
  assert.match(told[1] ?? '', /\nversion 1 → version 2\n/);
  assert.match(told[2] ?? '', /there is no generation 7/);
});

test('the same script twice gives the same conversation', async (context) => {
  const digests: string[] = [];
  for (let round = 0; round < 2; round++) {
    const { proposal } = await run(context, ['Math.random() + repo.list()[0]', 'llm("x")', SUBMIT]);
    assert.ok('source' in proposal);
    digests.push(`${proposal.prompt} ${proposal.transcript} ${proposal.source}`);
  }
  assert.equal(digests[0], digests[1]);
});
