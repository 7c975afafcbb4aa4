/**
 * From a configuration to the first form of its tenant module: `spec.rs`, the rules as constants, and `aggregate.rs`,
 * plain and correct, from which evolution starts. Deterministic: the same blob gives the same bytes.
 */
import type { Configuration } from '../control/configuration/index.ts';

export interface Specialisation {
  specRs: string;
  aggregateRs: string;
}

export function specialise(configuration: Configuration): Specialisation {
  throw new Error(`not yet: ${configuration.digest}`);
}
