/** Every route of the API. */
import type { z } from 'zod';
import { FLEET } from '../../workflows/level.ts';
import type { OrganizationStatus } from '../../workflows/messages.ts';
import { compileBody, decodeBlob } from '../configuration/index.ts';
import { servedByFleet } from './fleet.ts';
import { GatewayError } from './gateway.ts';
import { generationRoutes } from './generation-routes.ts';
import { moduleRoutes } from './module-routes.ts';
import { ApiProblem } from './problem.ts';
import { type ApiServices, compact, type Route, route } from './route.ts';
import * as schema from './schemas.ts';
import { showChanges, showConfiguration, showObservation, showTotals } from './views.ts';

const organization = '/v1/organizations/{org}';

const configurationRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/organizations',
    id: 'listOrganizations',
    summary: 'Organizations that have a configuration and that the token may see',
    role: 'viewer',
    query: schema.noQuery,
    body: null,
    reply: schema.organizationList,
    handle: async ({ services, principal }) => {
      const all = await services.configurations.organizations();
      const visible = all.filter((org) => principal.org === '*' || principal.org === org);
      return { organizations: visible };
    },
  }),
  route({
    method: 'put',
    path: `${organization}/configuration`,
    id: 'putConfiguration',
    tenantsOnly: true,
    summary: 'Put an organization’s rules in force at the next window boundary',
    role: 'editor',
    query: schema.noQuery,
    body: schema.configurationBody,
    bodyForm: 'document',
    reply: schema.configurationReply,
    handle: ({ services, org, body, requestId }) =>
      putConfiguration(services, org, body, requestId),
  }),
  route({
    method: 'get',
    path: `${organization}/configuration`,
    id: 'getConfiguration',
    tenantsOnly: true,
    summary: 'The organization’s rules',
    role: 'viewer',
    query: schema.noQuery,
    body: null,
    reply: schema.configurationView,
    handle: async ({ services, org }) => {
      const stored = await services.configurations.read(org);
      if (stored === null) throw unconfigured(org);
      return showConfiguration(stored);
    },
  }),
  route({
    method: 'get',
    path: organization,
    id: 'getOrganization',
    summary: 'Where the organization, or `fleet`, stands: workflow, active manifest, archive',
    role: 'viewer',
    query: schema.noQuery,
    body: null,
    reply: schema.organizationView,
    handle: ({ services, org }) => showOrganization(services, org),
  }),
];

const requestRoutes: Route[] = [
  route({
    method: 'post',
    path: `${organization}/evolutions`,
    id: 'evolve',
    summary: 'Start evolving, with a fresh count against the budget',
    role: 'operator',
    query: schema.noQuery,
    body: schema.evolveBody,
    reply: schema.evolveReply,
    status: 202,
    handle: ({ services, org, body, requestId: request_id }) =>
      services.gateway.evolve(org, {
        request_id,
        ...(body.budget && { budget: compact(body.budget) }),
      }),
  }),
  route({
    method: 'post',
    path: `${organization}/pause`,
    id: 'pause',
    summary: 'Start no new generation',
    role: 'operator',
    query: schema.noQuery,
    body: schema.pauseBody,
    reply: schema.pauseReply,
    handle: ({ services, org, body, requestId: request_id }) =>
      services.gateway.pause(org, { ...compact(body), request_id }),
  }),
  route({
    method: 'post',
    path: `${organization}/resume`,
    id: 'resume',
    summary: 'Go on after a pause or a rollback',
    role: 'operator',
    query: schema.noQuery,
    body: schema.emptyBody,
    reply: schema.pauseReply,
    handle: ({ services, org, requestId: request_id }) =>
      services.gateway.resume(org, { request_id }),
  }),
  route({
    method: 'post',
    path: `${organization}/rollback`,
    id: 'rollback',
    summary: 'Serve an earlier module again, and pause',
    role: 'operator',
    query: schema.noQuery,
    body: schema.rollbackBody,
    reply: schema.rollbackReply,
    handle: ({ services, org, body, requestId: request_id }) => {
      const { version, ...rest } = body;
      const target = version === undefined ? {} : { to_version: version };
      return services.gateway.rollback(org, { ...compact(rest), ...target, request_id });
    },
  }),
  route({
    method: 'put',
    path: `${organization}/budget`,
    id: 'setBudget',
    summary: 'Change parts of the budget',
    role: 'operator',
    query: schema.noQuery,
    body: schema.budgetBody,
    reply: schema.budgetReply,
    handle: ({ services, org, body, requestId: request_id }) =>
      services.gateway.setBudget(org, { budget: compact(body), request_id }),
  }),
];

const eventRoutes: Route[] = [
  route({
    method: 'get',
    path: `${organization}/observations`,
    id: 'listObservations',
    summary: 'Looks at the traffic while a module served, newest first',
    role: 'viewer',
    query: schema.observationsQuery,
    body: null,
    reply: schema.observationsPage,
    handle: async ({ services, org, query }) => {
      const found = services.records.observations(org, query.limit);
      return { observations: found.map(showObservation) };
    },
  }),
  route({
    method: 'get',
    path: `${organization}/events`,
    id: 'listEvents',
    summary: 'What happened in the aggregators: configured, swapped, refused, demoted …',
    role: 'viewer',
    query: schema.eventsQuery,
    body: null,
    reply: schema.eventsPage,
    handle: async ({ services, org, query }) => {
      const after = query.after ?? null;
      const sinceMs = services.now() - query.since_s * 1_000;
      const found = await services.events({ org, after, sinceMs, limit: query.limit });
      const events = found.map(({ atMs, ...event }) => ({ ...event, at_ms: atMs }));
      return { events, next: events.at(-1)?.sequence ?? after };
    },
  }),
];

export const routes: readonly Route[] = [
  ...configurationRoutes,
  ...requestRoutes,
  ...moduleRoutes,
  ...generationRoutes,
  ...eventRoutes,
];

/** Stores the rules, then tells the organization: doing both again changes nothing. */
async function putConfiguration(
  services: ApiServices,
  org: string,
  body: unknown,
  requestId: string,
): Promise<z.output<typeof schema.configurationReply>> {
  const configuration = compileBody(body, org);
  const blob = await services.store.put(configuration.blob, 'application/vnd.ratchet.rules');
  const put = await services.configurations.put(configuration, services.now());
  const { stored, changed } = put;
  const { digest, effectiveFromMs: effective_from_ms } = stored;
  const rules = configuration.rules.length;
  const reply = await services.gateway.configure(org, {
    configuration: { digest, blob, rules, effective_from_ms },
    request_id: requestId,
  });
  const changes = showChanges(put);
  return { org, digest, effective_from_ms, rules, changed: changed || reply.changed, changes };
}

async function showOrganization(services: ApiServices, org: string) {
  const [stored, active, workflow] = await Promise.all([
    org === FLEET ? null : services.configurations.read(org),
    services.active.read(org),
    askStatus(services, org),
  ]);
  if (stored === null && workflow.status === null && org !== FLEET) throw unconfigured(org);
  const totals = services.records.totals(org);
  return {
    org,
    configuration:
      stored === null
        ? null
        : {
            digest: stored.digest,
            effective_from_ms: stored.effectiveFromMs,
            rules: decodeBlob(stored.blob).length,
          },
    status: workflow.status,
    status_problem: workflow.problem,
    active: active === null ? null : active.manifest,
    totals: totals === null ? null : showTotals(totals),
    gain: services.records.gain(org),
    serves: org === FLEET ? await servedByFleet(services) : null,
  };
}

/** When nobody answers for the workflow, the rest is shown all the same. */
async function askStatus(
  services: ApiServices,
  org: string,
): Promise<{ status: OrganizationStatus | null; problem: string | null }> {
  try {
    const status = await services.gateway.status(org);
    return { status, problem: status === null ? 'no workflow runs for it' : null };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { status: null, problem: error.message };
  }
}

function unconfigured(org: string): ApiProblem {
  return new ApiProblem('not-found', `organization ${org} has no configuration`);
}
