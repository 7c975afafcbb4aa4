/** A workload as its contest takes it: rules and messages in files, and the module's constants. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { profileTraffic } from '../../activities/sample/profile.ts';
import { type Configuration, compileConfiguration } from '../../control/configuration/index.ts';
import type { TrafficProfile } from '../../evolver/mutator.ts';
import { specialise } from '../../evolver/specialise.ts';
import { workloadC } from '../workloads/mixed.ts';
import { seededRandom } from '../workloads/random.ts';
import { generateMessage, workloadA, workloadB } from '../workloads/workloads.ts';

export const WORKLOADS = ['a', 'b', 'c'] as const;
export type WorkloadName = (typeof WORKLOADS)[number];

export interface Subject {
  name: WorkloadName;
  rules: Configuration['rules'];
  /** Rules as constants, and the first form of a module for them. */
  spec: string;
  seed: string;
  profile: TrafficProfile;
  /** Files. */
  blob: string;
  corpus: string;
}

const MAKE = { a: workloadA, b: workloadB, c: workloadC };
const BEGINS_MS = 1_700_000_000_000;
const STEP_MS = 1_000;

/** Series and messages are drawn from the seed; the rules are the same for every one. */
export function makeSubject(
  name: WorkloadName,
  folder: string,
  { messages, seed }: { messages: number; seed: number },
): Subject {
  const workload = MAKE[name](seed);
  const { rules, blob, digest } = compileConfiguration(`bench-${name}`, workload.rules);
  const { specRs, aggregateRs } = specialise({ rules, blob, digest });
  const random = seededRandom(seed);
  const payloads = Array.from({ length: messages }, (_, index) => {
    return generateMessage(workload, BEGINS_MS + STEP_MS * index, random).payload;
  });
  const [blobFile, corpus] = [join(folder, `${name}.rules`), join(folder, `${name}.rtc`)];
  writeFileSync(blobFile, blob);
  writeFileSync(corpus, corpusOf(payloads));
  const profile = profileTraffic(payloads, rules);
  return { name, rules, spec: specRs, seed: aggregateRs, profile, blob: blobFile, corpus };
}

/** "RTC1", then of each message its length and its bytes. */
function corpusOf(payloads: readonly Uint8Array[]): Buffer {
  const parts = payloads.flatMap((payload) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(payload.length);
    return [length, payload];
  });
  return Buffer.concat([Buffer.from('RTC1'), ...parts]);
}
