/**
 * The module that serves every organization without a better one of its own. It lives and evolves
 * as an organization does, through the same stages, but for no configuration: its rules are data.
 */
import { continueAsNew } from '@temporalio/workflow';
import { Organization } from './entity.ts';
import { live, validated, wire } from './life.ts';
import type { OrganizationInput } from './messages.ts';
import { checkFleetInput } from './validate.ts';

export async function fleet(input: OrganizationInput): Promise<void> {
  validated(() => checkFleetInput(input));
  const entity = new Organization(input);
  wire(entity, { configurable: false });
  await live(entity, input);
  await continueAsNew<typeof fleet>(entity.carry());
}
