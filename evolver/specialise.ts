/**
 * From a configuration to the first form of its tenant module: `spec.rs`, the rules as constants,
 * and `aggregate.rs`, plain and correct, from which evolution starts. Deterministic: the same blob
 * gives the same bytes. The fleet module is made and built the same way, of a `spec.rs` that
 * knows no rules.
 */
import { readFileSync } from 'node:fs';
import type { Configuration } from '../control/configuration/index.ts';
import { FIRST_GENOME } from './builtin/genome.ts';
import { express, expressFleet } from './builtin/phenotype.ts';
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

const FLEET_SPEC = new URL('../guest/fleet/src/spec.rs', import.meta.url);

/**
 * The two sources of the first fleet module. A build of them is a build like any other: the kit's
 * root file, this `spec.rs`, and an `aggregate.rs`, which alone evolves. The module serves any
 * rules blob, so its comparison and its timing run once for every organization's.
 */
export function specialiseFleet(): Specialisation {
  return {
    specRs: readFileSync(FLEET_SPEC, 'utf8'),
    aggregateRs: expressFleet(FIRST_GENOME, UNKNOWN_TRAFFIC),
  };
}
