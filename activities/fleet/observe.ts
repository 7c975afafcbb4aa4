/**
 * A look at whom the fleet's module was measured on. Where half of those that could be measured now
 * were not, an epoch begins: the best of before are measured on them, and the search goes on.
 */
import type { Archive } from '../../evolver/archive.ts';
import { FLEET } from '../../workflows/level.ts';
import type { Ref } from '../../workflows/messages.ts';
import type { Deps } from '../deps.ts';
import type { ObserveInput, ObserveVerdict } from '../observe/types.ts';
import type { GenerationInputs } from '../types.ts';
import { readFleetCorpus } from './corpus.ts';
import { measurable, type Needs as Sampling } from './sample.ts';

type Needs = Sampling & Pick<Deps, 'archive'>;

/** Of those that could be measured, the share that never was. */
const NEW_SHARE = 0.5;

export async function observeFleet(
  deps: Needs,
  input: ObserveInput,
  id: string,
): Promise<ObserveVerdict> {
  const { archive, store } = deps;
  const newest = archive.generations(FLEET, 1).rows[0];
  if (newest?.inputs == null || newest.profile === null) {
    return { verdict: 'insufficient', reason: null };
  }
  const inputs = JSON.parse(await store.getText(newest.inputs)) as GenerationInputs;
  const measured = await readFleetCorpus(store, inputs.corpus.fit as Ref);
  const known = measured.members.map(({ configuration }) => configuration);
  const now = await measurable(deps, id, input.messages_min);
  const judged = judgeMembers(known, now);
  record(archive, input, id, { profile: newest.profile, messages: inputs.messages }, judged);
  return judged;
}

export function judgeMembers(known: readonly string[], now: readonly string[]): ObserveVerdict {
  const fresh = now.filter((configuration) => !known.includes(configuration)).length;
  if (fresh === 0 || fresh < now.length * NEW_SHARE) return { verdict: 'steady', reason: null };
  const reason = `${fresh} of ${now.length} configurations were never measured`;
  return { verdict: 'moved', reason };
}

function record(
  archive: Archive,
  { configuration, module, at_ms }: ObserveInput,
  id: string,
  traffic: { profile: string; messages: number },
  { verdict, reason }: ObserveVerdict,
): void {
  if (verdict === 'insufficient') return;
  archive.recordObservation({
    ...{ id, org: FLEET, configuration: configuration.digest, module, ...traffic },
    ...{ distance: null, advantage: null, verdict, reason, atMs: at_ms },
  });
}
