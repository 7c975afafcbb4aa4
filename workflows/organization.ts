/**
 * One organization: an entity that lives as long as the organization does. It waits for requests,
 * starts evolving when a new configuration has enough captured traffic, runs one generation at a
 * time, renews manifests, takes demoted modules out of service, and retires its own when the
 * fleet's overtakes it.
 */
import { continueAsNew } from '@temporalio/workflow';
import { Organization } from './entity.ts';
import { live, validated, wire } from './life.ts';
import type { OrganizationInput } from './messages.ts';
import { checkOrganizationInput } from './validate.ts';

export async function organization(input: OrganizationInput): Promise<void> {
  validated(() => checkOrganizationInput(input));
  const entity = new Organization(input);
  wire(entity, { configurable: true });
  await live(entity, input);
  await continueAsNew<typeof organization>(entity.carry());
}
