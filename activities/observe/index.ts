/**
 * Stage `observe`: a look at an organization's traffic while its module serves. The profile is
 * kept, held against that of the traffic which the module was measured on, and the module is timed
 * on what there is now. What has moved begins an epoch: figures of before no longer count.
 */
import { decodeBlob } from '../../control/configuration/index.ts';
import type { Archive, CandidateRow } from '../../evolver/archive.ts';
import { type Drift, driftBetween, judgeDrift } from '../../evolver/drift.ts';
import type { TrafficProfile } from '../../evolver/profile.ts';
import { isFleet } from '../../workflows/level.ts';
import { measureModule } from '../benchmark/index.ts';
import type { Deps } from '../deps.ts';
import { observeFleet } from '../fleet/observe.ts';
import type { Needs as FleetNeeds } from '../fleet/sample.ts';
import { beating } from '../heartbeat.ts';
import { readTraining } from '../sample/capture.ts';
import { withCorpus } from '../sample/file.ts';
import { profileTraffic } from '../sample/profile.ts';
import type { Activities } from '../types.ts';
import type { ObserveInput, ObserveVerdict } from './types.ts';

type Needs = FleetNeeds &
  Pick<Deps, 'archive' | 'nats' | 'store' | 'settings' | 'modules' | 'stages'>;

export function observeActivities(deps: Needs): Pick<Activities, 'observe'> {
  return {
    observe: (input) =>
      deps.stages.once(observationId(input), () =>
        beating({ org: input.org }, (signal) =>
          isFleet(input.org)
            ? observeFleet(deps, input, observationId(input))
            : observe(deps, input, signal),
        ),
      ),
  };
}

function observationId({ org, at_ms }: ObserveInput): string {
  return `${org}/observation/${at_ms}`;
}

async function observe(
  deps: Needs,
  input: ObserveInput,
  signal: AbortSignal,
): Promise<ObserveVerdict> {
  const { org, configuration, module } = input;
  if (module === null) return { verdict: 'insufficient', reason: null };
  const messages = await readTraining(deps.nats, org, configuration.digest);
  if (messages.length < input.messages_min) return { verdict: 'insufficient', reason: null };
  const rules = decodeBlob(await deps.store.get(configuration.blob));
  const profile = profileTraffic(messages, rules);
  const { seconds } = input;
  const advantage = await withCorpus(messages, (corpus) =>
    measureModule(deps, { configuration, module, corpus, seconds }, signal),
  );
  return await conclude(deps, input, profile, advantage);
}

/** Judged against what the archive knows of the module, and kept. */
export async function conclude(
  { archive, store }: Pick<Needs, 'archive' | 'store'>,
  input: ObserveInput,
  profile: TrafficProfile,
  advantage: number | null,
): Promise<ObserveVerdict> {
  const { org, configuration, module, at_ms, limits } = input;
  const candidate = candidateOf(archive, input);
  const drift = await driftSince({ archive, store }, candidate, profile);
  const promised = candidate?.ratioToBaseline ?? null;
  const judged = judgeDrift({ drift, advantage, promised }, limits);
  archive.recordObservation({
    ...{ id: observationId(input), org, configuration: configuration.digest, module },
    profile: (await store.put(JSON.stringify(profile), 'application/json')).digest,
    messages: profile.messages,
    ...{ distance: drift?.distance ?? null, advantage },
    ...{ verdict: judged.verdict, reason: judged.reason, atMs: at_ms },
  });
  return judged;
}

/**
 * What the module is held against: its newest measurement, which after a move is that on the
 * traffic of then; else the one that it was promoted for.
 */
function candidateOf(
  archive: Pick<Archive, 'promotions' | 'candidate' | 'lastMeasured'>,
  { org, configuration, module }: ObserveInput,
): CandidateRow | null {
  if (module === null) return null;
  const measured = archive.lastMeasured(org, configuration.digest, module);
  if (measured !== null) return measured;
  const found = archive.promotions(org).find((row) => row.module === module && row.candidate);
  return found?.candidate == null ? null : archive.candidate(found.candidate);
}

async function driftSince(
  { archive, store }: Pick<Needs, 'archive' | 'store'>,
  candidate: CandidateRow | null,
  now: TrafficProfile,
): Promise<Drift | null> {
  const generation = candidate === null ? null : archive.generation(candidate.generation);
  if (generation?.profile == null || !(await store.has(generation.profile))) return null;
  const before = JSON.parse(await store.getText(generation.profile)) as TrafficProfile;
  return driftBetween(before, now);
}
