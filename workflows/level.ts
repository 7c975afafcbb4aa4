/**
 * The two levels of modules: a tenant's own, and that of the fleet, which serves every organization
 * that has none. The fleet evolves as an organization does, under a name that none can have.
 */
import type { ConfigurationRef } from './messages.ts';

export const FLEET = 'fleet';

export function isFleet(org: string): boolean {
  return org === FLEET;
}

/** Stands where a configuration's digest does: rules as data are of no configuration. */
const NONE = '0'.repeat(64);
/** A rules blob of no rules. */
const EMPTY_BLOB = {
  digest: 'e8382c8573ce173a297500e63b169f69a1043a753a44f298347c67d53d1dea1a',
  size: 9,
  mediaType: 'application/vnd.ratchet.rules',
};

export const NO_CONFIGURATION: ConfigurationRef = {
  digest: NONE,
  blob: EMPTY_BLOB,
  rules: 0,
  effective_from_ms: 0,
};

/** Of its tasks, 5 being the last: tenants' builds and benchmarks go first. */
export const FLEET_PRIORITY = 5;

/** Surely slower on an organization's traffic: the fleet's candidate is refused for all. */
export const LOSS_RATIO = 0.98;

/**
 * A tenant's module is promoted while the lower bound of its ratio to what serves without it
 * exceeds the promotion ratio, and retired when it falls below that by more than this: two
 * measurements of the same module must not disagree about whether it stays.
 */
export const RETIREMENT_MARGIN = 0.05;
