/** A generation run again: what its models answered is told from the record, and costs nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileAnswer } from '../../evolver/llm/test/rig.ts';
import { cell, type Script, say } from '../../evolver/llm/test/server.ts';
import type { Answers } from '../../workflows/messages.ts';
import {
  again,
  attempt,
  billed,
  generation,
  type Made,
  openScene,
  parentIn,
  scriptedStages,
} from './models.fixture.ts';

const EXPLORING = { arms: { single: 0, rlm: 1 } };
const ONE = { arms: { single: 1, rlm: 0 } };

/** Explores, asks a smaller model, and hands in nothing that counts. */
const giving_up: Script = ({ tools }, turn) => {
  if (tools === undefined) return say(`hash maps, says request ${turn}`);
  return cell(
    turn === 0 ? 'llm("what is dear?")' : `submit({ path: "x${turn}.rs", content: "1" })`,
  );
};

/** Three files, none of which compiles. */
const failing: Script = (asked, turn) =>
  say(fileAnswer(`${parentIn(asked)}\nconst broken_${turn}: u32 = 1;\n`));

interface Expected {
  /** Requests that the server got. */
  asked: number;
  /** Whether it came to the same as the first attempt. */
  same: boolean;
  free: boolean;
}

interface Case extends Expected {
  name: string;
  scripted: Script;
  settings: Record<string, unknown>;
  answers: Answers;
}

const cases: Case[] = [
  {
    ...{ name: 'an exploration without a proposal', scripted: giving_up },
    ...{ settings: { ...EXPLORING, exploration: { turns: 3 } } },
    ...{ answers: 'recorded', asked: 0, same: true, free: true },
  },
  {
    ...{ name: 'the same, asked anew', scripted: giving_up },
    ...{ settings: { ...EXPLORING, exploration: { turns: 3 } } },
    ...{ answers: 'fresh', asked: 3, same: false, free: false },
  },
  {
    ...{ name: 'a proposal and two repairs', scripted: failing, settings: ONE },
    ...{ answers: 'recorded', asked: 0, same: true, free: true },
  },
  {
    ...{ name: 'the same, asked anew', scripted: failing, settings: ONE },
    ...{ answers: 'fresh', asked: 3, same: false, free: false },
  },
];

for (const { name, scripted, settings, answers, ...expected } of cases) {
  test(`run again with ${answers} answers: ${name}`, async (context) => {
    const made = await generation(context, { scripted, settings, stages: scriptedStages });
    const [before, spent] = [made.server.asked.length, made.journal.spent('acme')];
    const rerun = await again(made, 1, answers);
    assert.deepEqual(
      {
        asked: made.server.asked.length - before,
        same: JSON.stringify(meaning(rerun)) === JSON.stringify(meaning(made)),
        free: made.journal.spent('acme') === spent && costs(rerun).every((cost) => cost === 0),
      },
      expected,
    );
  });
}

test('a generation that failed while mutating goes on where it failed', async (context) => {
  const scripted: Script = (_, turn) => {
    if (turn === 1) return { status: 401, type: 'authentication_error' };
    return cell(
      turn === 0 ? 'repo.list()' : 'submit({ content: parent() + "\\nconst _N: u32 = 1;\\n" })',
    );
  };
  const opened = await openScene(context, {
    ...{ scripted, settings: EXPLORING, stages: scriptedStages },
  });
  await assert.rejects(attempt(opened), /authentication_error/);
  const paid = opened.journal.spent('acme');
  const rerun = await again(opened, 1, 'recorded');
  assert.equal(opened.server.asked.length, 3, 'the first answer is on record');
  assert.equal(rerun.proposal.verdict, 'proposed');
  assert.deepEqual(costs(rerun), [billed(opened) - paid]);
});

/** What it came to, ids and costs apart. */
function meaning({ proposal, attempts }: Pick<Made, 'proposal' | 'attempts'>) {
  const tried = attempts.map(({ outcome, detail, source }) => [outcome, detail, source]);
  if (proposal.verdict === 'none') return [proposal.reason, tried];
  const { source, operator, summary } = proposal.candidate;
  return [source.digest, operator, summary, tried];
}

function costs({ proposal, attempts }: Pick<Made, 'proposal' | 'attempts'>): number[] {
  const own = proposal.verdict === 'none' ? proposal.cost : proposal.candidate.cost;
  return [own?.micro_usd ?? 0, ...attempts.map(({ micro_usd }) => micro_usd)];
}
