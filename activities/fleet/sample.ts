/**
 * Stage `sample` of the fleet: some organizations, some training messages of each, renamed by a key
 * that is thrown away. So a candidate learns no name, and next time all names are others.
 */
import { randomBytes } from 'node:crypto';
import { decodeBlob, encodeBlob, type Rule } from '../../control/configuration/index.ts';
import { sha256 } from '../../control/store/index.ts';
import type { StoredConfiguration } from '../../control/tables.ts';
import type { TrafficProfile } from '../../evolver/profile.ts';
import type { CaptureStatus } from '../../workflows/messages.ts';
import type { Deps } from '../deps.ts';
import { generationOf } from '../keys.ts';
import { countEveryTraining, readTraining, trainingSubject } from '../sample/capture.ts';
import { encodeCorpus, splitCorpus } from '../sample/corpus.ts';
import type { Sample } from '../sample/index.ts';
import { profileTraffic } from '../sample/profile.ts';
import { status } from '../shadow/service.ts';
import type { SampleInput, SampleVerdict } from '../types.ts';
import { type FleetCorpus, type Member, writeFleetCorpus } from './corpus.ts';
import { renameMessage } from './message.ts';
import { Renaming, renameRules, textsOf } from './rename.ts';

export type Needs = Pick<Deps, 'nats' | 'store' | 'configurations' | 'evolving'>;

/** What serves everybody is not made on the traffic of one. */
export const ORGANIZATIONS_MIN = 2;
/** Organizations that one generation is measured on; later ones meet others. */
export const ORGANIZATIONS_MAX = 16;
/** Messages of each, the newest. */
export const MESSAGES_MAX = 64;
/** Configurations that are looked at to find those. */
const LOOKED_AT_MAX = 64;

/** What was taken of one organization, under new names. */
export interface Sampled {
  configuration: string;
  rules: Rule[];
  messages: Uint8Array[];
  words: string[];
}

export async function sampleFleet(deps: Needs, input: SampleInput): Promise<SampleVerdict> {
  const found = await organizations(deps, generationOf(input), input.messages_min);
  const sampled: Sampled[] = [];
  for (const stored of found.chosen) {
    const { org, digest } = stored;
    const messages = (await readTraining(deps.nats, org, digest)).slice(-MESSAGES_MAX);
    if (messages.length > 0) sampled.push(rename(stored, messages));
  }
  if (sampled.length < ORGANIZATIONS_MIN) {
    return { verdict: 'insufficient', messages: found.shared };
  }
  return { verdict: 'sampled', ...(await storeFleetSample(deps.store, sampled)) };
}

/** The corpus that renamed messages make, and what a mutator may know of them. */
export async function storeFleetSample(
  store: Deps['store'],
  sampled: readonly Sampled[],
): Promise<Sample> {
  return {
    corpus: await storeCorpus(store, sampled),
    profile: await store.put(JSON.stringify(profileOf(sampled)), 'application/json'),
    messages: sampled.reduce((sum, each) => sum + each.messages.length, 0),
  };
}

/** So many messages has every one of the organizations that are needed. */
export async function fleetCaptured(deps: Needs, configuration: string): Promise<CaptureStatus> {
  const { held_back } = await status(deps.nats, { org: 'fleet', configuration });
  const { shared } = await organizations(deps, 'status', 1);
  return { held_back, training: shared, evolving: await deps.evolving() };
}

/** Configurations that a sample could be made of now. */
export async function measurable(deps: Needs, seed: string, min: number): Promise<string[]> {
  const { chosen } = await organizations(deps, seed, min);
  return chosen.map(({ digest }) => digest);
}

/** Organizations with enough training messages of the rules in force, in an order of the seed's. */
async function organizations({ nats, configurations }: Needs, seed: string, min: number) {
  const counts = await countEveryTraining(nats);
  const most = new Map<string, number>();
  for (const [subject, count] of counts) {
    const org = subject.split('.')[1] ?? '';
    most.set(org, Math.max(most.get(org) ?? 0, count));
  }
  const captured = [...most].filter(([, count]) => count >= min).map(([org]) => org);
  const order = new Map(captured.map((org) => [org, sha256(`${seed}/${org}`)]));
  captured.sort((a, b) => ((order.get(a) ?? '') < (order.get(b) ?? '') ? -1 : 1));
  const chosen: StoredConfiguration[] = [];
  const held: number[] = [];
  for (const org of captured.slice(0, LOOKED_AT_MAX)) {
    if (chosen.length === ORGANIZATIONS_MAX) break;
    const stored = await configurations.read(org);
    const count = stored === null ? 0 : (counts.get(trainingSubject(org, stored.digest)) ?? 0);
    if (stored === null || count < min) continue;
    chosen.push(stored);
    held.push(count);
  }
  return { chosen, shared: sharedBy(held) };
}

/** The count that at least `ORGANIZATIONS_MIN` of them reach. */
export function sharedBy(counts: readonly number[]): number {
  const sorted = [...counts].sort((left, right) => right - left);
  return sorted[ORGANIZATIONS_MIN - 1] ?? 0;
}

/** Under new names; the old ones stay in the list of words alone. */
export function rename(
  { digest: configuration, blob }: Pick<StoredConfiguration, 'digest' | 'blob'>,
  messages: readonly Uint8Array[],
  key: Uint8Array = randomBytes(32),
): Sampled {
  const renaming = new Renaming(key);
  const before = decodeBlob(blob);
  const words = new Set(textsOf(before));
  const renamed = messages.map((message) => {
    const { message: under, texts } = renameMessage(message, renaming.rename);
    for (const text of texts) words.add(text);
    return under;
  });
  const both = [...words].flatMap((word) => [word, renaming.rename(word)]);
  return { configuration, rules: renameRules(before, renaming), messages: renamed, words: both };
}

async function storeCorpus(store: Deps['store'], sampled: readonly Sampled[]) {
  const type = 'application/vnd.ratchet.corpus';
  const fit: Member[] = [];
  const check: Member[] = [];
  for (const { configuration, rules, messages } of sampled) {
    const blob = await store.put(encodeBlob(rules), 'application/vnd.ratchet.rules');
    const split = splitCorpus(messages);
    const member = async (part: Uint8Array[]): Promise<Member> => {
      const corpus = await store.put(encodeCorpus(part), type);
      return { configuration, rules: blob.digest, corpus: corpus.digest, messages: part.length };
    };
    if (split.fit.length > 0) fit.push(await member(split.fit));
    if (split.check.length > 0) check.push(await member(split.check));
  }
  const distinct = [...new Set(sampled.flatMap(({ words }) => words))].sort();
  const words = (await store.put(JSON.stringify(distinct), 'application/json')).digest;
  const document = (members: Member[]): FleetCorpus => ({ schema: 1, members, words });
  return {
    fit: await writeFleetCorpus(store, document(fit)),
    check: await writeFleetCorpus(store, document(check)),
  };
}

/** Shapes of all messages together; what is of one organization's rules has no meaning here. */
export function profileOf(sampled: readonly Pick<Sampled, 'rules' | 'messages'>[]): TrafficProfile {
  const whole = profileTraffic(
    sampled.flatMap(({ messages }) => messages),
    [],
  );
  const single = sampled.map(({ messages, rules }) => profileTraffic(messages, rules).singleWindow);
  const singleWindow = single.reduce((sum, each) => sum + each, 0) / Math.max(1, single.length);
  return { ...whole, singleWindow, keys: [], rules: [] };
}
