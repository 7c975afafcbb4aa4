/** A model mutator over a scripted server, an archive and a store in memory. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { compileConfiguration, type RuleInput } from '../../../control/configuration/index.ts';
import { Archive } from '../../archive.ts';
import type { Arm } from '../../arms.ts';
import { Lineage } from '../../lineage.ts';
import type { Mutator, ProposalRequest } from '../../mutator.ts';
import { UNKNOWN_TRAFFIC } from '../../profile.ts';
import { seedRandom } from '../../random.ts';
import { specialise } from '../../specialise.ts';
import { Journal, modelMutator, parseLlmSettings } from '../index.ts';
import { costOf } from '../prices.ts';
import type { LlmSettings } from '../settings.ts';
import { messagesServer, type Script, type Server } from './server.ts';

export const MODEL = 'claude-sonnet-5-5';
export const SINGLE: Arm = { mutator: 'llm', kind: 'single', model: MODEL, patch: 'full' };
export const EXPLORE: Arm = { ...SINGLE, kind: 'rlm' };

const RULES: RuleInput[] = [
  {
    id: 'cpu',
    metric: 'cpu.usage',
    filter: 'service:checkout AND NOT env:dev',
    group_by: ['host'],
    aggregate: 'sum',
    window: '30s',
  },
];

export function configurationOf(rules: RuleInput[] = RULES) {
  return compileConfiguration('acme', rules);
}

export class Documents {
  readonly texts = new Map<string, string>();

  async put(text: string): Promise<{ digest: string }> {
    const digest = createHash('sha256').update(text).digest('hex');
    this.texts.set(digest, text);
    return { digest };
  }

  async getText(digest: string): Promise<string> {
    const text = this.texts.get(digest);
    if (text === undefined) throw new Error(`no document ${digest}`);
    return text;
  }
}

export interface Rig {
  server: Server;
  settings: LlmSettings;
  journal: Journal;
  documents: Documents;
  archive: Archive;
  lineage: Lineage;
  mutator: Mutator;
  /** A mutator that knows nothing but what is stored, as after a crash. */
  again(): Mutator;
  request(arm: Arm, changes?: Changes): ProposalRequest;
  /** What the server would bill, in micro-dollars; of a cut answer, nothing is known here. */
  bill(): number;
}

export interface Changes {
  failures?: string[];
  rules?: RuleInput[];
  id?: string;
  signal?: AbortSignal;
}

export const QUICK_RETRY = { tries: 3, pause_ms: 1, pause_ms_max: 50, timeout_ms: 20_000 };

export async function rig(
  context: TestContext,
  script: Script,
  settings: Record<string, unknown> = {},
): Promise<Rig> {
  const server = await messagesServer(context, script);
  const parsed = parseLlmSettings(
    JSON.stringify({ base_url: server.url, retry: QUICK_RETRY, ...settings }),
  );
  const folder = mkdtempSync(join(tmpdir(), 'llm-'));
  const journal = Journal.open(':memory:');
  const archive = Archive.open(':memory:');
  context.after(() => {
    journal.close();
    archive.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const documents = new Documents();
  const lineage = new Lineage(folder);
  const deps = { apiKey: server.key, settings: parsed, journal, documents, archive, lineage };
  const again = () => modelMutator(deps);
  return {
    server,
    settings: parsed,
    journal,
    documents,
    archive,
    lineage,
    mutator: again(),
    again,
    request: requestOf,
    bill: () => billOf(server, parsed),
  };
}

function billOf({ billed }: Server, { models, subModel }: LlmSettings): number {
  return billed
    .filter(({ cut }) => !cut)
    .map(({ model, usage }) => {
      const tariff = [...models, subModel].find(({ id }) => id === model);
      return tariff === undefined ? Number.NaN : costOf(tariff, usage);
    })
    .reduce((sum, cost) => sum + cost, 0);
}

export function parentSource(rules: RuleInput[] = RULES): string {
  return specialise(configurationOf(rules)).aggregateRs;
}

function requestOf(arm: Arm, changes: Changes = {}) {
  const { failures = [], rules = RULES, id = 'c1', signal } = changes;
  const configuration = configurationOf(rules);
  const place = { org: 'acme', configuration: configuration.digest };
  const dialogue = { ...place, failures, ...(signal && { signal }) };
  return {
    id: `acme/gen/2/${id}`,
    arm,
    rules: configuration.rules,
    parent: { id: 'seed', source: parentSource(rules), ratio: 1.25 },
    inspirations: [],
    random: seedRandom('test'),
    profile: UNKNOWN_TRAFFIC,
    dialogue,
  };
}

/** An answer in text with a whole file. */
export function fileAnswer(source: string, summary = 'a change'): string {
  return `<summary>${summary}</summary>\n<file path="aggregate.rs">\n${source}</file>`;
}

/** The parent with a harmless difference. */
export function variant(mark: string, rules: RuleInput[] = RULES): string {
  return `${parentSource(rules)}\nconst _MARK_${mark.toUpperCase()}: u32 = 0;\n`;
}
