/** What activities are built from; tests hand in their own. */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Settings } from '../control/config.ts';
import type { ContentStore } from '../control/store/index.ts';
import type { ActiveTable, ConfigurationTable, ObjectTable } from '../control/tables.ts';
import type { Archive } from '../evolver/archive.ts';
import type { Lineage } from '../evolver/lineage.ts';
import type { Mutator } from '../evolver/mutator.ts';
import type { MutatorName } from '../workflows/messages.ts';
import type { StageRecords } from './stages.ts';

/** The part of the settings that stages read. */
export type StageSettings = Pick<
  Settings,
  | 'state'
  | 'cache'
  | 'kit'
  | 'aggregator'
  | 'builderKeyFile'
  | 'trustFile'
  | 'proofPolicy'
  | 'wasi'
  | 'attestations'
>;

export interface Deps {
  settings: StageSettings;
  store: ContentStore;
  stages: Pick<StageRecords, 'once' | 'read'>;
  archive: Archive;
  lineage: Pick<Lineage, 'commitGeneration' | 'tag'>;
  mutators: Partial<Record<MutatorName, Mutator>>;
  nats: NatsConnection;
  configurations: Pick<ConfigurationTable, 'read'>;
  active: ActiveTable;
  modules: ObjectTable;
  /** How many organizations evolve at the moment. */
  evolving: () => Promise<number>;
  now: () => number;
}
