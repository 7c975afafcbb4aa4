/** Asks a mutator for one slot, until it proposes something that is not known yet. */
import type { Mutator, Proposal, ProposalRequest } from '../../evolver/mutator.ts';
import { type Known, repetition, syntaxDigest } from '../../evolver/search/novelty.ts';
import type { Deps } from '../deps.ts';
import type { AttemptRecord, Spent } from '../types.ts';

export interface Asked {
  /** Proposals that are known already. */
  attempts: AttemptRecord[];
  cost: Spent;
  found: { proposal: Proposal; syntax: string } | null;
  /** Why nothing was found. */
  reason: string;
  transcript: string | null;
}

type Needs = Pick<Deps, 'store'> & { clock: () => number };

export async function askForNew(
  { store, clock }: Needs,
  mutator: Mutator,
  request: ProposalRequest,
  known: readonly Known[],
  tries: number,
): Promise<Asked> {
  const attempts: AttemptRecord[] = [];
  let { random } = request;
  for (let turn = 0; turn < tries; turn++) {
    const started = clock();
    const answer = await mutator.propose({ ...request, random });
    const cost = spent(answer.charge, (clock() - started) / 1_000);
    const { transcript = null } = answer;
    if ('none' in answer) return { attempts, cost, found: null, reason: answer.none, transcript };
    const source = await store.put(answer.source, 'text/x-rust');
    const syntax = syntaxDigest(answer.source);
    const repeated = repetition({ source: source.digest, syntax }, known);
    if (repeated === null) {
      return { attempts, cost, found: { proposal: answer, syntax }, reason: '', transcript };
    }
    const { seconds: _, ...charge } = cost;
    attempts.push({
      outcome: 'duplicate',
      detail: clip(`${answer.operator}: its ${repeated} is known`),
      ...{ source: source.digest, transcript, ...charge },
    });
    random = answer.random;
  }
  const reason = `${tries} proposals, all known already`;
  return { attempts, cost: spent(undefined, 0), found: null, reason, transcript: null };
}

function spent(charge: Proposal['charge'], seconds: number): Spent {
  const { microUsd = 0, tokensIn = 0, tokensOut = 0 } = charge ?? {};
  return { micro_usd: microUsd, tokens_in: tokensIn, tokens_out: tokensOut, seconds };
}

function clip(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 199)}…`;
}
