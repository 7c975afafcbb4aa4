/** What a model is asked with beside the request: its conversation, its failures, what is known. */
import { sha256 } from '../../control/store/index.ts';
import type { ProposalRequest } from '../../evolver/mutator.ts';
import { type Known, repetition, syntaxDigest } from '../../evolver/search/novelty.ts';
import type { Deps } from '../deps.ts';
import type { MutateInput, ProposalFailure } from '../types.ts';

type Spoken = Required<Pick<ProposalRequest, 'dialogue' | 'repetition'>>;

export async function dialogueOf(
  { store }: Pick<Deps, 'store'>,
  input: Pick<MutateInput, 'org' | 'failures'>,
  configuration: string,
  known: readonly Known[],
  signal: AbortSignal,
): Promise<Spoken> {
  const failures = input.failures ?? [];
  return {
    repetition: (source) =>
      repetition({ source: sha256(source), syntax: syntaxDigest(source) }, known),
    dialogue: {
      org: input.org,
      configuration,
      failures: await Promise.all(failures.map((failure) => textOf(store, failure))),
      signal,
    },
  };
}

async function textOf(
  store: Deps['store'],
  { gate, verdict, reason, log }: ProposalFailure,
): Promise<string> {
  const head = `${gate}: ${verdict}: ${reason}`;
  return log === null ? head : `${head}\n\n${withoutWarnings(await store.getText(log))}`;
}

/** Errors with their lines; warnings are no failure. */
function withoutWarnings(log: string): string {
  const parts = log.split(/\n(?=(?:error|warning|note)(?:\[\w+\])?: )/);
  const errors = parts.filter((part) => part.startsWith('error'));
  return (errors.length === 0 ? log : errors.join('\n')).trim();
}
