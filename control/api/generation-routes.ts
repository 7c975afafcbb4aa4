/** Routes about generations: what was tried, and trying it again. */
import { z } from 'zod';
import { chosen, difference } from './difference.ts';
import { exportGeneration } from './export.ts';
import { ApiProblem } from './problem.ts';
import { type ApiServices, compact, type Route, route } from './route.ts';
import * as schema from './schemas.ts';
import { referencedBy, showAttempt, showCandidate, showGeneration } from './views.ts';

const organization = '/v1/organizations/{org}';
const generation = `${organization}/generations/{generation}`;

export const generationRoutes: Route[] = [
  route({
    method: 'get',
    path: `${organization}/generations`,
    id: 'listGenerations',
    summary: 'Generations, newest first, a page at a time',
    role: 'viewer',
    query: schema.pageQuery,
    body: null,
    reply: schema.generationPage,
    handle: async ({ services, org, query }) => {
      const page = services.records.list(org, query.limit, query.cursor ?? null);
      return { generations: page.rows.map(showGeneration), next: page.next };
    },
  }),
  route({
    method: 'get',
    path: generation,
    id: 'getGeneration',
    summary: 'One generation: its candidates with the verdict of every gate',
    role: 'viewer',
    query: schema.generationQuery,
    body: null,
    reply: schema.generationDetail,
    handle: async ({ services, org, params, query }) => {
      const found = readGeneration(services, org, params.generation, query.rerun);
      return {
        generation: showGeneration(found.generation),
        candidates: found.candidates.map(showCandidate),
        attempts: found.attempts.map(showAttempt),
      };
    },
  }),
  route({
    method: 'get',
    path: `${generation}/objects/{digest}`,
    id: 'getObject',
    summary: 'A source, a conversation, or the evidence of a verdict of the generation',
    role: 'viewer',
    query: schema.generationQuery,
    body: null,
    reply: z.string(),
    replyType: 'text/plain; charset=utf-8',
    handle: async ({ services, org, params, query }) => {
      const found = readGeneration(services, org, params.generation, query.rerun);
      const digest = params.digest ?? '';
      if (!referencedBy(found).has(digest)) {
        throw new ApiProblem('not-found', `${found.generation.id} does not refer to ${digest}`);
      }
      return await services.store.get(digest);
    },
  }),
  route({
    method: 'post',
    path: `${generation}/rerun`,
    id: 'rerunGeneration',
    summary: 'Run a generation again from its stored inputs, or from a stage on',
    role: 'operator',
    query: schema.noQuery,
    body: schema.rerunBody,
    reply: schema.rerunReply,
    status: 202,
    handle: ({ services, org, params, body, requestId: request_id }) =>
      services.gateway.rerunGeneration(org, {
        ...compact(body),
        generation: generationNumber(params.generation),
        request_id,
      }),
  }),
  route({
    method: 'get',
    path: `${generation}/diff`,
    id: 'diffGeneration',
    summary: 'What a candidate changed, as a unified diff against its parent or another generation',
    role: 'viewer',
    query: schema.diffQuery,
    body: null,
    reply: z.string(),
    replyType: 'text/plain; charset=utf-8',
    handle: async ({ services, org, params, query }) => {
      const found = readGeneration(services, org, params.generation, query.rerun);
      const other =
        query.against === undefined
          ? null
          : chosen(readGeneration(services, org, String(query.against), 0), query.against_slot);
      const row = chosen(found, query.slot);
      return Buffer.from(await difference(services, found, row, other));
    },
  }),
  route({
    method: 'get',
    path: `${generation}/export`,
    id: 'exportGeneration',
    summary: 'Everything about a generation in one tar.gz, training messages among it',
    role: 'operator',
    query: schema.generationQuery,
    body: null,
    reply: z.string(),
    replyType: 'application/gzip',
    handle: ({ services, org, params, query }) =>
      exportGeneration(services, readGeneration(services, org, params.generation, query.rerun)),
  }),
];

function readGeneration(
  services: ApiServices,
  org: string,
  text: string | undefined,
  rerun: number,
) {
  const number = generationNumber(text);
  const found = services.records.read(org, number, rerun);
  if (found !== null) return found;
  const attempt = rerun === 0 ? '' : `, re-run ${rerun},`;
  throw new ApiProblem('not-found', `generation ${number}${attempt} of ${org} is not known`);
}

function generationNumber(text: string | undefined): number {
  if (text !== undefined && /^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new ApiProblem('bad-request', `${JSON.stringify(text)} is not a generation's number`);
}
