/** Stage `sample`: training messages become a corpus, and a profile for the mutators. */
import { decodeBlob } from '../../control/configuration/index.ts';
import { isFleet } from '../../workflows/level.ts';
import type { ConfigurationRef } from '../../workflows/messages.ts';
import type { Deps } from '../deps.ts';
import { type Needs as FleetNeeds, fleetCaptured, sampleFleet } from '../fleet/sample.ts';
import { generationOf, stageKey } from '../keys.ts';
import { status } from '../shadow/service.ts';
import type { Activities, SampleInput, SampleVerdict } from '../types.ts';
import { countTraining, readTraining } from './capture.ts';
import { encodeCorpus, splitCorpus } from './corpus.ts';
import { profileTraffic } from './profile.ts';

type Sampling = Pick<Activities, 'sample' | 'captureStatus'>;

export function sampleActivities(deps: FleetNeeds & Pick<Deps, 'stages'>): Sampling {
  return {
    sample: (input) =>
      deps.stages.once(stageKey(generationOf(input), 'sample', input.configuration.digest), () =>
        isFleet(input.org) ? sampleFleet(deps, input) : sample(deps, input),
      ),
    captureStatus: async ({ org, configuration }) => {
      if (isFleet(org)) return await fleetCaptured(deps, configuration);
      const { held_back } = await status(deps.nats, { org, configuration });
      return { held_back, training: await countTraining(deps.nats, org, configuration) };
    },
  };
}

async function sample(
  { nats, store }: Pick<Deps, 'nats' | 'store'>,
  input: SampleInput,
): Promise<SampleVerdict> {
  const { configuration, org } = input;
  const messages = await readTraining(nats, org, configuration.digest);
  if (messages.length < input.messages_min) {
    return { verdict: 'insufficient', messages: messages.length };
  }
  return { verdict: 'sampled', ...(await storeSample(store, configuration, messages)) };
}

export type Sample = Omit<Extract<SampleVerdict, { verdict: 'sampled' }>, 'verdict'>;

/** The corpus that messages make, and what a mutator may know of them. */
export async function storeSample(
  store: Deps['store'],
  configuration: ConfigurationRef,
  messages: readonly Uint8Array[],
): Promise<Sample> {
  const rules = decodeBlob(await store.get(configuration.blob));
  const profile = profileTraffic(messages, rules);
  const { fit, check } = splitCorpus(messages);
  const corpusType = 'application/vnd.ratchet.corpus';
  return {
    corpus: {
      fit: await store.put(encodeCorpus(fit), corpusType),
      check: await store.put(encodeCorpus(check), corpusType),
    },
    profile: await store.put(JSON.stringify(profile), 'application/json'),
    messages: messages.length,
  };
}
