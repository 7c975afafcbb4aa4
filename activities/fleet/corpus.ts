/**
 * The corpus of the fleet: for every organization that was sampled its renamed messages and rules.
 * It names nobody.
 */
import { z } from 'zod';
import type { ContentStore } from '../../control/store/index.ts';
import type { Ref } from '../../workflows/messages.ts';

export const FLEET_CORPUS = 'application/vnd.ratchet.fleet-corpus+json';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const memberSchema = z.object({
  /** Digest of the configuration as it is in force: what was sampled, without a name. */
  configuration: digest,
  /** Renamed: the rules blob, and the messages as `aggregator bench` reads them. */
  rules: digest,
  corpus: digest,
  messages: z.int().positive(),
});
const corpusSchema = z.object({
  schema: z.literal(1),
  members: z.array(memberSchema).min(1),
  /** The texts of traffic, old and new: a JSON list. */
  words: digest,
});

export type Member = z.output<typeof memberSchema>;
export type FleetCorpus = z.output<typeof corpusSchema>;

export async function writeFleetCorpus(store: ContentStore, corpus: FleetCorpus): Promise<Ref> {
  return await store.put(JSON.stringify(corpus), FLEET_CORPUS);
}

export async function readFleetCorpus(store: ContentStore, ref: Ref): Promise<FleetCorpus> {
  return corpusSchema.parse(JSON.parse(await store.getText(ref)));
}
