/** Whether this deployment asks models, and which: from ANTHROPIC_API_KEY and RATCHET_LLM. */
import { join } from 'node:path';
import type { Archive } from '../../evolver/archive.ts';
import type { Lineage } from '../../evolver/lineage.ts';
import {
  Journal,
  type LlmSettings,
  LlmSettingsError,
  modelMutator,
  parseLlmSettings,
} from '../../evolver/llm/index.ts';
import { inDollars } from '../../evolver/llm/prices.ts';
import type { Mutator } from '../../evolver/mutator.ts';
import { type ModelAccess, type Settings, SettingsError } from '../config.ts';
import type { ContentStore } from '../store/index.ts';

/** Throws where RATCHET_LLM is wrong, also without a key. */
export function modelSettings({ settings, baseUrl }: ModelAccess): LlmSettings {
  try {
    const parsed = parseLlmSettings(settings);
    return { ...parsed, baseUrl: parsed.baseUrl ?? baseUrl };
  } catch (error) {
    if (error instanceof LlmSettingsError) throw new SettingsError(`RATCHET_LLM: ${error.message}`);
    throw error;
  }
}

/** Said at the start, so that nobody wonders who proposes, or what it may cost. */
export function describeMutators(access: ModelAccess): string {
  const { models, budget } = modelSettings(access);
  if (access.apiKey === null) {
    return 'ANTHROPIC_API_KEY is not set: the built-in search alone proposes';
  }
  const names = models.filter(({ weight }) => weight > 0).map(({ id }) => id);
  const limit = inDollars(budget.organization);
  return `the built-in search proposes, and ${names.join(', ')}: at most ${limit} an organization`;
}

export interface Models {
  mutator: Mutator;
  close(): void;
}

const DAY_MS = 24 * 3_600_000;
/** No generation is under way for so long, nor taken up again. */
const JOURNAL_MS_MAX = 90 * DAY_MS;

function forgetDaily(journal: Journal): NodeJS.Timeout {
  const forget = () => {
    try {
      journal.forget(Date.now() - JOURNAL_MS_MAX);
    } catch (error) {
      // Another process holds the file: tomorrow is early enough.
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  };
  forget();
  return setInterval(forget, DAY_MS).unref();
}

/** Null without a key. */
export function openModels(
  settings: Pick<Settings, 'models' | 'state'>,
  given: { archive: Archive; lineage: Lineage; store: ContentStore },
): Models | null {
  const llm = modelSettings(settings.models);
  const { apiKey } = settings.models;
  if (apiKey === null) return null;
  const journal = Journal.open(join(settings.state, 'llm.sqlite'));
  const timer = forgetDaily(journal);
  const { archive, lineage, store: documents } = given;
  const mutator = modelMutator({ apiKey, settings: llm, journal, documents, archive, lineage });
  const close = () => {
    clearInterval(timer);
    journal.close();
  };
  return { mutator, close };
}
