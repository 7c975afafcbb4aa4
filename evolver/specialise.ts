/**
 * From a configuration to the first form of its tenant module: `spec.rs`, the rules as constants,
 * and `aggregate.rs`, plain and correct, from which evolution starts. Deterministic: the same blob
 * gives the same bytes.
 */
import type { Configuration } from '../control/configuration/index.ts';
import { FIRST_GENOME } from './builtin/genome.ts';
import { express } from './builtin/phenotype.ts';
import { UNKNOWN_TRAFFIC } from './profile.ts';
import { tabulate } from './spec/tables.ts';
import { writeSpec } from './spec/write.ts';

export interface Specialisation {
  specRs: string;
  aggregateRs: string;
}

export function specialise(
  configuration: Pick<Configuration, 'rules' | 'blob' | 'digest'>,
): Specialisation {
  return {
    specRs: writeSpec(tabulate(configuration.rules), configuration.blob, configuration.digest),
    aggregateRs: express(FIRST_GENOME, configuration.rules, UNKNOWN_TRAFFIC),
  };
}
