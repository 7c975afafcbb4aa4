import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { z } from 'zod';
import { Archive } from '../../evolver/archive.ts';
import { createApi } from './app.ts';
import { type Fakes, makeFakes, noRecords, rule, storedConfiguration } from './fakes.ts';
import { GatewayError } from './gateway.ts';
import { type ProblemDocument, problemSchema } from './problem.ts';
import { ArchiveRecords, type GenerationRecords } from './records.ts';
import { routes } from './routes.ts';
import { roles } from './tokens.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-api-'));
after(() => rm(directory, { recursive: true }));
const fixtureSource = await makeFakes(join(directory, 'store'))
  .services.store.put('fn main() {}', 'text/x-rust')
  .then((reference) => reference.digest);
const silent = { info: () => undefined, error: () => undefined };

function setUp(records: GenerationRecords = noRecords, timeoutMs = 5_000) {
  const fakes = makeFakes(join(directory, 'store'), records);
  const app = createApi({ services: fakes.services, logger: silent, version: '0.1.0', timeoutMs });
  return { fakes, app };
}

interface Ask {
  method?: string;
  token?: string | null;
  body?: string | object;
  type?: string;
  key?: string;
}

async function ask(app: ReturnType<typeof createApi>, path: string, options: Ask = {}) {
  const { method = 'GET', token = 'all-admin', body, type = 'application/json', key } = options;
  const headers: Record<string, string> = {};
  if (token !== null) headers.authorization = `Bearer ${token}`;
  const sent = body instanceof Uint8Array ? 'application/wasm' : type;
  if (body !== undefined) headers['content-type'] = sent;
  if (key !== undefined) headers['idempotency-key'] = key;
  const bytes = body instanceof Uint8Array;
  const text = typeof body === 'object' && !bytes ? JSON.stringify(body) : body;
  const response = await app.request(path, {
    method,
    headers,
    ...(text !== undefined && { body: text as string | Uint8Array<ArrayBuffer> }),
  });
  const content = await response.text();
  return { status: response.status, headers: response.headers, content };
}

async function askProblem(
  app: ReturnType<typeof createApi>,
  path: string,
  options: Ask,
  status: number,
  kind: string,
): Promise<ProblemDocument> {
  const response = await ask(app, path, options);
  const about = `${options.method ?? 'GET'} ${path}: ${response.content}`;
  assert.equal(response.status, status, about);
  assert.equal(response.headers.get('content-type'), 'application/problem+json', about);
  const document = problemSchema.parse(JSON.parse(response.content));
  assert.equal(document.type, `urn:ratchet:problem:${kind}`, about);
  assert.equal(document.status, status);
  return document;
}

const organization = '/v1/organizations/acme';
const bodies: Record<string, object> = {
  putConfiguration: { org: 'acme', rules: [rule] },
  setBudget: { generations: 3 },
  submitModule: Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]),
};

function pathOf(path: string, org = 'acme'): string {
  const digest = 'a'.repeat(64);
  return path.replace('{org}', org).replace('{generation}', '1').replace('{digest}', digest);
}

function configured(fakes: Fakes): void {
  fakes.configurations.set('acme', storedConfiguration('acme'));
  fakes.configurations.set('globex', storedConfiguration('globex'));
}

test('who may do what: every route, every role', async () => {
  const { app, fakes } = setUp();
  configured(fakes);
  for (const route of routes) {
    const path = pathOf(route.path);
    const request = { method: route.method.toUpperCase(), body: bodies[route.id] ?? {} };
    const options = route.method === 'get' ? { method: 'GET' } : request;
    const unknown = { ...options, token: 'nobody' };
    await askProblem(app, path, { ...options, token: null }, 401, 'unauthenticated');
    await askProblem(app, path, unknown, 401, 'unauthenticated');
    for (const role of roles) {
      const enough = roles.indexOf(role) >= roles.indexOf(route.role);
      for (const [org, mine] of [
        ['acme', true],
        ['all', true],
        ['globex', false],
      ] as const) {
        const response = await ask(app, path, { ...options, token: `${org}-${role}` });
        const allowed = enough && (mine || !route.path.includes('{org}'));
        const about = `${route.id} as ${role} of ${org}: ${response.status} ${response.content}`;
        assert.equal(response.status === 403, !allowed, about);
        assert.notEqual(response.status, 500, about);
      }
    }
  }
});

test('answers have the shape that OpenAPI tells', async () => {
  const { app, fakes } = setUp(fixtureRecords());
  configured(fakes);
  const { digest: source } = await fakes.services.store.put('fn main() {}', 'text/x-rust');
  for (const route of routes) {
    const path = pathOf(route.path).replace('a'.repeat(64), source);
    const method = route.method.toUpperCase();
    const body = route.method === 'get' ? {} : { body: bodies[route.id] ?? {} };
    const response = await ask(app, path, { method, ...body });
    assert.equal(response.status, route.status ?? 200, `${route.id}: ${response.content}`);
    if (route.replyType !== undefined) continue;
    const schema: z.ZodType = route.reply;
    const parsed = schema.safeParse(JSON.parse(response.content));
    assert.ok(parsed.success, `${route.id}: ${parsed.error?.message}`);
  }
});

test('putting a configuration: JSON, YAML, and the same again', async () => {
  const { app, fakes } = setUp();
  const path = `${organization}/configuration`;
  const yaml = [
    'org: acme',
    'rules:',
    '  - { id: a, metric: cpu, filter: "host:web-*", aggregate: max, window: 10s }',
  ].join('\n');
  const first = await ask(app, path, { method: 'PUT', body: yaml, type: 'application/yaml' });
  assert.equal(first.status, 200, first.content);
  const reply = JSON.parse(first.content);
  assert.equal(reply.effective_from_ms, 1_003_000);
  const added = { rule: 'a', change: 'added', from_ms: 1_010_000, until_ms: null };
  assert.deepEqual(reply.changes, [added]);
  assert.equal(reply.rules, 1);
  const stored = fakes.calls[0]?.request as { configuration: { digest: string } };
  assert.equal(stored.configuration.digest, reply.digest);
  const read = JSON.parse((await ask(app, path)).content);
  assert.equal(read.rules[0].filter, 'host:web-*');
  const body = { rules: read.rules };
  const again = JSON.parse((await ask(app, path, { method: 'PUT', body })).content);
  assert.equal(again.digest, reply.digest);
  assert.equal(again.effective_from_ms, reply.effective_from_ms);
  assert.deepEqual(again.changes, []);
});

test('a refused configuration names rule, field, column and text', async () => {
  const { app, fakes } = setUp();
  const path = `${organization}/configuration`;
  const bad = { ...rule, filter: 'service:checkout AND', window: '7' };
  const body = { org: 'acme', rules: [bad, { ...rule, id: 'b', metric: '' }] };
  const document = await askProblem(
    app,
    path,
    { method: 'PUT', body },
    422,
    'invalid-configuration',
  );
  assert.deepEqual(
    document.problems?.map((each) => [each.rule, each.field, each.column, each.text]),
    [
      ['checkout-cpu', 'filter', 21, 'service:checkout AND'],
      ['checkout-cpu', 'window', undefined, undefined],
      ['b', 'metric', undefined, undefined],
    ],
  );
  assert.equal(fakes.calls.length, 0);
  assert.equal(fakes.configurations.size, 0);
  const yaml = { method: 'PUT', body: 'rules: [', type: 'application/yaml' };
  const broken = await askProblem(app, path, yaml, 422, 'invalid-configuration');
  assert.equal(broken.problems?.[0]?.text, 'rules: [');
});

test('malformed requests', async () => {
  const { app, fakes } = setUp();
  configured(fakes);
  const put = `${organization}/configuration`;
  const big = { method: 'PUT', body: `{"rules":"${'x'.repeat(1024 * 1024)}"}` };
  await askProblem(app, put, big, 413, 'too-large');
  await askProblem(app, put, { method: 'PUT', body: '{' }, 400, 'bad-request');
  const xml = { method: 'PUT', body: '<a/>', type: 'application/xml' };
  await askProblem(app, put, xml, 415, 'unsupported-media-type');
  const typo = { method: 'POST', body: { reasons: 'x' } };
  const document = await askProblem(app, `${organization}/pause`, typo, 422, 'invalid-request');
  assert.equal(document.problems?.[0]?.field, 'reasons');
  const budget = { method: 'PUT', body: { generations: 0 } };
  await askProblem(app, `${organization}/budget`, budget, 422, 'invalid-request');
  await askProblem(app, `${organization}/budget`, { method: 'PUT' }, 422, 'invalid-request');
  const both = { method: 'POST', body: { version: 1, to_baseline: true } };
  await askProblem(app, `${organization}/rollback`, both, 422, 'invalid-request');
  const key = { method: 'POST', key: 'a key' };
  await askProblem(app, `${organization}/resume`, key, 400, 'bad-request');
  await askProblem(app, `${organization}/generations?limit=0`, {}, 422, 'invalid-request');
  await askProblem(app, `${organization}/generations?cursor=x`, {}, 422, 'invalid-request');
  await askProblem(app, `${organization}/generations/x`, {}, 400, 'bad-request');
  await askProblem(app, `${organization}/generations/1`, {}, 404, 'not-found');
  await askProblem(app, '/v1/organizations/Acme', {}, 400, 'bad-request');
  const ofFleet = '/v1/organizations/fleet/configuration';
  await askProblem(app, ofFleet, {}, 400, 'bad-request');
  await askProblem(app, ofFleet, { method: 'PUT', body: {} }, 400, 'bad-request');
  await askProblem(app, '/v1/organizations/initech', {}, 404, 'not-found');
  await askProblem(app, '/v1/nothing', {}, 404, 'not-found');
  await askProblem(app, organization, { method: 'DELETE' }, 405, 'method-not-allowed');
});

test('refusals of the organization, and services that are away', async () => {
  const { app, fakes } = setUp();
  configured(fakes);
  const cases = [
    ['unknown', 404, 'not-found'],
    ['conflict', 409, 'conflict'],
    ['invalid', 422, 'invalid-request'],
    ['unavailable', 503, 'unavailable'],
    ['timeout', 504, 'timeout'],
  ] as const;
  for (const [code, status, kind] of cases) {
    fakes.refusal = new GatewayError(code, 'because');
    const request = { method: 'POST' };
    const document = await askProblem(app, `${organization}/evolutions`, request, status, kind);
    assert.equal(document.detail, 'because');
  }
  const shown = JSON.parse((await ask(app, organization)).content);
  assert.equal(shown.status, null);
  assert.equal(shown.status_problem, 'because');
  assert.equal(shown.configuration.rules, 1);
});

test('a fault tells nothing of itself, a slow answer is cut off', async () => {
  const { app, fakes } = setUp(noRecords, 50);
  fakes.services.configurations.read = () => Promise.reject(new Error('secret'));
  const document = await askProblem(app, organization, {}, 500, 'internal');
  assert.doesNotMatch(JSON.stringify(document), /secret/);
  fakes.services.configurations.read = () => new Promise(() => undefined);
  await askProblem(app, `${organization}/configuration`, {}, 504, 'timeout');
});

test('the idempotency key and the body make the id of an update', async () => {
  const { app, fakes } = setUp();
  const evolve = async (key: string | undefined, body: object) => {
    const options = { method: 'POST', body, ...(key !== undefined && { key }) };
    assert.equal((await ask(app, `${organization}/evolutions`, options)).status, 202);
    const request = fakes.calls.at(-1)?.request as { request_id: string } | undefined;
    return request?.request_id ?? '';
  };
  const first = await evolve('k1', {});
  assert.equal(await evolve('k1', {}), first);
  assert.match(first, /^evolve:k1:[0-9a-f]{16}$/);
  assert.notEqual(await evolve('k1', { budget: { generations: 2 } }), first);
  assert.notEqual(await evolve('k2', {}), first);
  assert.notEqual(await evolve(undefined, {}), await evolve(undefined, {}));
});

function fixtureRecords(): GenerationRecords {
  const file = join(directory, 'archive.sqlite');
  const archive = Archive.open(file);
  const random = { algorithm: 'fixture' } as never;
  for (let number = 1; number <= 5; number += 1) {
    const id = `acme/gen/${number}`;
    const common = { configuration: 'c'.repeat(64), parent: null, random, startedAtMs: number };
    archive.startGeneration({ id, ...common });
  }
  const id = 'acme/gen/1/c0';
  const parent = 'acme/gen/1/c1';
  const of = { mutator: 'builtin', operator: 'memo', createdAtMs: 1 } as const;
  archive.recordCandidate({ ...of, id, parent, source: fixtureSource });
  archive.recordCandidate({ ...of, id: parent, parent: null, source: fixtureSource });
  archive.recordVerdict(id, { gate: 'build', passed: true, verdict: 'pass', atMs: 2 });
  archive.close();
  return new ArchiveRecords(file);
}

test('generations come a page at a time; their objects belong to them', async () => {
  await rm(join(directory, 'archive.sqlite'), { force: true });
  const { app } = setUp(fixtureRecords());
  const numbers: number[] = [];
  let next: string | null = '';
  while (next !== null) {
    const cursor: string = next === '' ? '' : `&cursor=${next}`;
    const page = JSON.parse(
      (await ask(app, `${organization}/generations?limit=2${cursor}`)).content,
    );
    numbers.push(...page.generations.map((each: { generation: number }) => each.generation));
    next = page.next;
  }
  assert.deepEqual(numbers, [5, 4, 3, 2, 1]);
  const one = JSON.parse((await ask(app, `${organization}/generations/1`)).content);
  assert.equal(one.candidates[0].verdicts[0].gate, 'build');
  const object = `${organization}/generations/1/objects/${one.candidates[0].source}`;
  assert.equal((await ask(app, object)).content, 'fn main() {}');
  const other = object.replace('/generations/1/', '/generations/2/');
  await askProblem(app, other, {}, 404, 'not-found');
  await askProblem(app, `${organization}/generations/1?rerun=1`, {}, 404, 'not-found');
});

test('OpenAPI lists every route; open paths need no token', async () => {
  const { app, fakes } = setUp();
  const response = await ask(app, '/openapi.json', { token: null });
  const document = JSON.parse(response.content);
  assert.equal(document.openapi, '3.1.0');
  const listed = Object.entries(document.paths as Record<string, object>).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method} ${path}`),
  );
  const open = ['get /openapi.json', 'get /healthz', 'get /metrics'];
  const expected = [...routes.map((route) => `${route.method} ${route.path}`), ...open];
  assert.deepEqual(listed.sort(), expected.sort());
  const served = app.routes.filter((each) => each.path.startsWith('/v1/'));
  const patterns = new Set(served.map((each) => `${each.method} ${each.path}`));
  assert.equal(patterns.size, routes.length);
  assert.match((await ask(app, '/metrics', { token: null })).content, /route="\/openapi.json"/);
  assert.equal((await ask(app, '/healthz', { token: null })).status, 200);
  fakes.services.health = async () => ({ nats: 'closed', temporal: 'ok' });
  assert.equal((await ask(app, '/healthz', { token: null })).status, 503);
});
