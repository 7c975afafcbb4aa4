/** The single-shot arm against a server that speaks the Messages API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE_LIMIT } from '../mutator.ts';
import { LlmFault } from './faults.ts';
import {
  EXPLORE,
  fileAnswer,
  MODEL,
  parentSource,
  QUICK_RETRY,
  rig,
  SINGLE,
  variant,
} from './test/rig.ts';
import { type Reply, say } from './test/server.ts';

const GOOD = say(fileAnswer(variant('good'), 'dense   cells'));

test('a good answer is a proposal; prefix and conversation are marked for the cache', async (c) => {
  const { mutator, request, server, bill, documents } = await rig(c, () => GOOD);
  const proposal = await mutator.propose(request(SINGLE));
  assert.ok('source' in proposal);
  assert.equal(proposal.source, variant('good').replace(/^\/\/ genome:.*\n/m, ''));
  assert.equal(proposal.summary, 'dense cells');
  assert.equal(proposal.operator, 'single:full');
  const { model, charge, prompt, transcript } = proposal;
  assert.deepEqual([model, charge?.microUsd], [MODEL, bill()]);
  const shown = await documents.getText(prompt ?? '');
  const { system, messages: asked } = server.asked[0] ?? {};
  assert.equal(shown, `${system?.[0]?.text}\n\n${asked?.[0]?.content}`);
  const whole = JSON.parse(await documents.getText(transcript ?? ''));
  assert.deepEqual([whole.calls.length, whole.messages.length], [1, 2]);
  assert.match(whole.messages[1].content[0].text, /_MARK_GOOD/);
  const second = await mutator.propose(request(SINGLE, { id: 'c2' }));
  assert.ok('source' in second);
  const [first, other] = server.asked;
  assert.deepEqual(first?.system, other?.system);
  assert.deepEqual(first?.system[0]?.cache_control, { type: 'ephemeral' });
  assert.deepEqual(first?.cache_control, { type: 'ephemeral' });
  const read = server.billed[1]?.usage.cacheRead ?? 0;
  assert.ok(read * 4 >= (first?.system[0]?.text.length ?? 0), 'the prefix is read from the cache');
  assert.equal((second.charge?.microUsd ?? 0) + (charge?.microUsd ?? 0), bill());
});

const repaired: Record<string, { replies: Reply[]; told: RegExp }> = {
  'an edit outside the file': {
    replies: [say('<file path="spec.rs">\nx</file>'), GOOD],
    told: /outside-file: an edit of .{1,2}spec\.rs/,
  },
  'a file over 16 KB': {
    replies: [say(fileAnswer(`${parentSource()}// ${'x'.repeat(SOURCE_LIMIT)}`)), GOOD],
    told: /too-large: .*fewer than 16384/,
  },
  'no file at all': { replies: [say('Here it is.'), GOOD], told: /unreadable/ },
  'an answer cut at its limit': {
    replies: [{ say: [{ text: fileAnswer(variant('x')) }], stop: 'max_tokens' }, GOOD],
    told: /cut at its limit of tokens/,
  },
};

for (const [name, { replies, told }] of Object.entries(repaired)) {
  test(`${name} is told, and may be mended`, async (context) => {
    const { mutator, request, server, bill } = await rig(context, (_, n) => replies[n] ?? GOOD);
    const proposal = await mutator.propose(request(SINGLE));
    assert.ok('source' in proposal);
    assert.equal(server.asked.length, 2);
    assert.match(JSON.stringify(server.asked[1]?.messages.at(-1)), told);
    assert.equal(proposal.charge?.microUsd, bill());
  });

  test(`${name}, three times, is the verdict`, async (context) => {
    const { mutator, request, server, bill } = await rig(context, () => replies[0] ?? GOOD);
    const proposal = await mutator.propose(request(SINGLE));
    assert.ok('none' in proposal);
    assert.match(proposal.none, told);
    assert.equal(server.asked.length, 3);
    assert.equal(proposal.charge?.microUsd, bill());
  });
}

test('failures of checks go back as data; the same answers are not paid again', async (context) => {
  const versions = ['one', 'two', 'three'].map((mark) => say(fileAnswer(variant(mark))));
  const { mutator, again, request, server, bill } = await rig(context, (_, n) => {
    return versions[n] ?? GOOD;
  });
  const failures = ['error[E0308]: mismatched types\n --> aggregate.rs:7:9', 'rule cpu diverged'];
  const charges: number[] = [];
  for (let attempt = 0; attempt <= 2; attempt++) {
    // Each time as after a crash: only the journal is left.
    const proposal = await again().propose(
      request(SINGLE, { failures: failures.slice(0, attempt) }),
    );
    assert.ok('source' in proposal, JSON.stringify(proposal));
    assert.match(proposal.source, new RegExp(`_MARK_${['ONE', 'TWO', 'THREE'][attempt]}`));
    charges.push(proposal.charge?.microUsd ?? 0);
  }
  assert.equal(server.asked.length, 3);
  assert.equal(
    charges.reduce((sum, each) => sum + each, 0),
    bill(),
  );
  const told = server.asked[2]?.messages.map(({ content }) => JSON.stringify(content)) ?? [];
  assert.match(told[2] ?? '', /<data-[0-9a-f]{24} label=.*mismatched types.*aggregate.rs:7:9/);
  assert.match(told[4] ?? '', /rule cpu diverged/);
  assert.equal('source' in (await mutator.propose(request(SINGLE, { failures }))), true);
  assert.equal(server.asked.length, 3, 'all answers were there already');
});

test('a refusal is a verdict', async (context) => {
  const reply: Reply = { say: [], refusal: 'cyber' };
  const { mutator, request, bill } = await rig(context, () => reply);
  const proposal = await mutator.propose(request(SINGLE));
  assert.ok('none' in proposal);
  assert.equal(proposal.none, 'declined: cyber');
  assert.equal(proposal.charge?.microUsd, bill());
});

const BUSY = { status: 529, type: 'overloaded_error' };
const CUT: Reply = { say: [{ text: 'Let me see' }], cutAfter: 3 };
const passing: Record<string, { before: Reply[]; lost: number }> = {
  '429 with retry-after': {
    before: [{ status: 429, type: 'rate_limit_error', headers: { 'retry-after': '0.02' } }],
    lost: 0,
  },
  '529 twice': { before: [BUSY, BUSY], lost: 0 },
  'a stream that ends early': { before: [CUT], lost: 1 },
  'a stream that ends before it began': { before: [{ say: [], cutAfter: 0 }], lost: 0 },
};

for (const [name, { before, lost }] of Object.entries(passing)) {
  test(`${name}: the call is made again`, async (context) => {
    const { mutator, request, server, journal, bill } = await rig(
      context,
      (_, n) => before[n] ?? GOOD,
    );
    const proposal = await mutator.propose(request(SINGLE));
    assert.ok('source' in proposal);
    assert.equal(server.asked.length, before.length + 1);
    const [call] = journal.calls(`acme/gen/2/c1/single/${MODEL}/full`);
    // A broken answer may be billed in full: it is charged at its worst.
    assert.equal((call?.lost ?? 0) > 0, lost > 0);
    assert.equal(proposal.charge?.microUsd, bill() + (call?.lost ?? 0));
  });
}

const faults: Record<string, { reply: Reply; code: LlmFault['code']; tries: number }> = {
  'a wrong key': {
    reply: {
      status: 401,
      type: 'authentication_error',
      message: 'invalid x-api-key: sk-ant-canary-5bd1e995',
    },
    code: 'auth',
    tries: 1,
  },
  'no rights': { reply: { status: 403, type: 'permission_error' }, code: 'auth', tries: 1 },
  'a bad request': {
    reply: { status: 400, type: 'invalid_request_error' },
    code: 'bad-request',
    tries: 1,
  },
  'overload without end': { reply: BUSY, code: 'unavailable', tries: 3 },
  'broken streams without end': { reply: CUT, code: 'unavailable', tries: 3 },
  'a longer pause than is waited for': {
    reply: { status: 429, type: 'rate_limit_error', headers: { 'retry-after': '7' } },
    code: 'unavailable',
    tries: 1,
  },
};

for (const [name, { reply, code, tries }] of Object.entries(faults)) {
  test(`${name} is the fault ${code}`, async (context) => {
    const { mutator, request, server } = await rig(context, () => reply);
    await assert.rejects(mutator.propose(request(SINGLE)), (error) => {
      assert.ok(error instanceof LlmFault);
      assert.equal(error.code, code, error.message);
      assert.ok(!error.message.includes(server.key), error.message);
      assert.match(error.message, code === 'auth' ? /ANTHROPIC_API_KEY/ : /./);
      return true;
    });
    assert.equal(server.asked.length, tries);
  });
}

test('no call is made that could cost more than is left', async (context) => {
  const { mutator, request, server, journal } = await rig(context, () => say('no'), {
    budget: { organization_usd: 0.5, proposal_usd: 2 },
  });
  const reasons: string[] = [];
  for (let id = 0; id < 80 && server.asked.length < 80; id++) {
    const proposal = await mutator.propose(request(SINGLE, { id: `c${id}` }));
    assert.ok('none' in proposal);
    reasons.push(proposal.none);
    if (proposal.none.startsWith('budget')) break;
  }
  assert.match(
    reasons.at(-1) ?? '',
    /^budget: the organization's budget of \$0.50 has \$0\.\d+ left/,
  );
  assert.ok(journal.spent('acme') <= 500_000);
  assert.ok(server.asked.length > 1);
});

test('cut off in the middle of a call, it is made again, and both are booked', async (context) => {
  const controller = new AbortController();
  const { mutator, again, request, journal, bill } = await rig(context, (_, n) => {
    if (n > 0) return GOOD;
    setImmediate(() => controller.abort());
    return { silent: true };
  });
  const { signal } = controller;
  await assert.rejects(mutator.propose(request(SINGLE, { signal })));
  const booked = journal.spent('acme');
  assert.ok(booked > 0, 'nobody knows what became of it');
  const proposal = await again().propose(request(SINGLE));
  assert.ok('source' in proposal);
  assert.equal(proposal.charge?.microUsd, booked + bill());
});

test('a server that does not answer may have worked all the same', async (context) => {
  const retry = { ...QUICK_RETRY, tries: 1, timeout_ms: 200 };
  const { mutator, request, journal } = await rig(context, () => ({ silent: true }), { retry });
  await assert.rejects(mutator.propose(request(SINGLE)), { code: 'unavailable' });
  assert.ok(journal.spent('acme') > 0);
});

test('an allowance holds as the budget does, in dollars and in tokens', async (context) => {
  const { mutator, request, server } = await rig(context, () => GOOD);
  const cases = [
    {
      allowance: { usd: 0.01, tokens: null },
      told: /^budget: the proposal's budget of \$0.01 has/,
    },
    { allowance: { usd: null, tokens: 1_000 }, told: /^budget: of 1000 tokens 0 are used, the/ },
  ];
  for (const { allowance, told } of cases) {
    const proposal = await mutator.propose({ ...request(SINGLE), allowance });
    assert.match('none' in proposal ? proposal.none : '', told);
  }
  assert.equal(server.asked.length, 0);
  const enough = { usd: 1, tokens: 100_000 };
  assert.ok('source' in (await mutator.propose({ ...request(SINGLE), allowance: enough })));
});

test('an arm that the settings do not have is a fault', async (context) => {
  const { mutator, request } = await rig(context, () => GOOD);
  const arm = { ...EXPLORE, model: 'nobody' };
  await assert.rejects(mutator.propose(request(arm)), /model nobody is not in RATCHET_LLM/);
});
