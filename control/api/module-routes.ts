/** Modules that tenants bring: admitted, stored, and handed to the organization. */
import { moduleBytesMax } from '../tables.ts';
import { ApiProblem } from './problem.ts';
import { type ApiServices, type Route, route } from './route.ts';
import * as schema from './schemas.ts';

/** How a component begins; a core module has another version. */
const PREAMBLE = '0061736d0d000100';

export const moduleRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/organizations/{org}/modules',
    id: 'submitModule',
    tenantsOnly: true,
    summary: 'Take a component that the tenant brings through the gates, to serve it',
    role: 'operator',
    query: schema.submitQuery,
    body: schema.componentBody,
    bodyForm: 'component',
    bodyBytesMax: moduleBytesMax,
    reply: schema.submitReply,
    status: 202,
    handle: async ({ services, org, query, body, requestId: request_id }) => {
      checkAllowed(services);
      checkComponent(body);
      await checkFree(services, org);
      const component = await services.store.put(body, 'application/wasm');
      const { name } = query;
      const reply = await services.gateway.submit(org, { component, name, request_id });
      return { ...reply, module: component.digest, size: component.size };
    },
  }),
];

function checkAllowed({ wasi }: ApiServices): void {
  if (wasi === 'empty') return;
  const how = `RATCHET_WASI is ${JSON.stringify(wasi)}, and must be "empty" for that`;
  throw new ApiProblem('not-allowed', `tenants may not bring modules here: ${how}`);
}

function checkComponent(bytes: Uint8Array): void {
  const head = Buffer.from(bytes.subarray(0, PREAMBLE.length / 2)).toString('hex');
  if (head === PREAMBLE) return;
  const found = head === '' ? 'nothing' : head;
  const told = `the body is no WebAssembly component: it begins with ${found}, not ${PREAMBLE}`;
  throw new ApiProblem('invalid-request', told);
}

/** Nothing is stored for an organization that would refuse it. */
async function checkFree({ gateway }: ApiServices, org: string): Promise<void> {
  const status = await gateway.status(org);
  if (status === null) throw new ApiProblem('not-found', `organization ${org} does not run`);
  if (status.submitted === undefined) return;
  const { name } = status.submitted;
  throw new ApiProblem('conflict', `the submitted module ${name} waits already`);
}
