/** Opens what activities need; whatever a test or another deployment hands in is used instead. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Deps } from '../../activities/index.ts';
import { StageRecords } from '../../activities/stages.ts';
import { Archive } from '../../evolver/archive.ts';
import { builtinMutator } from '../../evolver/builtin/index.ts';
import { Lineage } from '../../evolver/lineage.ts';
import type { Settings } from '../config.ts';
import { connectNats } from '../nats.ts';
import { ContentStore } from '../store/index.ts';
import { ActiveTable, ConfigurationTable, ObjectTable } from '../tables.ts';
import { openModels } from './models.ts';

export type WorkerDeps = Deps & {
  configurations: ConfigurationTable;
  close(): Promise<void>;
};

export async function openDeps(
  settings: Settings,
  overrides: Partial<WorkerDeps> & Pick<WorkerDeps, 'evolving'>,
): Promise<WorkerDeps> {
  const nats = overrides.nats ?? (await connectNats(settings.nats, 'ratchet-workers'));
  await mkdir(dirname(settings.archiveFile), { recursive: true });
  const archive = overrides.archive ?? Archive.open(settings.archiveFile);
  const store = new ContentStore(settings.storeDirectory);
  const lineage = new Lineage(join(settings.state, 'lineage'));
  const models = openModels(settings, { archive, lineage, store });
  return {
    settings,
    store,
    stages: new StageRecords(join(settings.state, 'stages')),
    archive,
    lineage,
    mutators: { builtin: builtinMutator(), ...(models !== null && { llm: models.mutator }) },
    nats,
    configurations: await ConfigurationTable.open(nats),
    active: await ActiveTable.open(nats),
    modules: await ObjectTable.open(nats, 'modules'),
    now: Date.now,
    close: async () => {
      models?.close();
      archive.close();
      await nats.drain();
    },
    ...overrides,
  };
}
