/** How new organizations evolve: the defaults of the workflows, changed by RATCHET_EVOLUTION. */
import { DEFAULT_SEARCH } from '../evolver/search/settings.ts';
import {
  type Budget,
  DEFAULT_BUDGET,
  DEFAULT_SETTINGS,
  type EvolutionSettings,
} from '../workflows/messages.ts';
import { checkSettings, mergeBudget } from '../workflows/validate.ts';
import { SettingsError } from './config.ts';

export interface EvolutionDefaults {
  settings: EvolutionSettings;
  budget: Budget;
}

/** `text` is JSON such as `{"candidates":2,"search":{"islands":1},"budget":{"generations":3}}`;
 * `null` = the defaults. */
export function evolutionDefaults(text: string | null): EvolutionDefaults {
  if (text === null) return { settings: DEFAULT_SETTINGS, budget: DEFAULT_BUDGET };
  try {
    const { budget = {}, ...changes } = JSON.parse(text) as Record<string, unknown>;
    const search = { ...DEFAULT_SEARCH, ...(changes.search as object | undefined) };
    const settings = { ...DEFAULT_SETTINGS, ...changes, search };
    checkSettings(settings);
    return { settings, budget: mergeBudget(DEFAULT_BUDGET, budget) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`RATCHET_EVOLUTION: ${reason}`);
  }
}
