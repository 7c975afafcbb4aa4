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

interface Evolution {
  settings: EvolutionSettings;
  budget: Budget;
}

export interface EvolutionDefaults extends Evolution {
  /** Of the module that serves every organization without a better one. */
  fleet: Evolution;
}

/** Tenants go first, so there is no hurry to look whether it may begin. */
const FLEET_DEFAULTS = {
  settings: { capture_poll_ms: 20_000, capture_poll_ms_max: 60_000 },
  budget: { generations: 15, seconds: 3_600, stagnation: 4 },
};

/**
 * `text` is JSON such as `{"candidates":2,"search":{"islands":1},"budget":{"generations":3}}`, with
 * the same under `fleet` where the fleet is to differ; `null` = the defaults.
 */
export function evolutionDefaults(text: string | null): EvolutionDefaults {
  try {
    const given = JSON.parse(text ?? '{}') as Record<string, unknown>;
    const { fleet = {}, ...tenants } = given;
    const own = changed({ settings: DEFAULT_SETTINGS, budget: DEFAULT_BUDGET }, tenants);
    const base = changed(own, FLEET_DEFAULTS.settings);
    const budget = mergeBudget(own.budget, FLEET_DEFAULTS.budget);
    return { ...own, fleet: changed({ ...base, budget }, fleet as Record<string, unknown>) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError(`RATCHET_EVOLUTION: ${reason}`);
  }
}

function changed(base: Evolution, parts: Record<string, unknown>): Evolution {
  const { budget = {}, ...changes } = parts;
  const given = changes.search as object | undefined;
  const search = { ...DEFAULT_SEARCH, ...base.settings.search, ...given };
  const settings = { ...base.settings, ...changes, search };
  checkSettings(settings);
  return { settings, budget: mergeBudget(base.budget, budget) };
}
