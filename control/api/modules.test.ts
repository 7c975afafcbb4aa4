/** Components that a tenant brings, at the API: who may, where, and what is refused. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { moduleBytesMax } from '../tables.ts';
import { createApi } from './app.ts';
import { type Fakes, makeFakes, storedConfiguration } from './fakes.ts';
import { GatewayError } from './gateway.ts';

const directory = await mkdtemp(join(tmpdir(), 'ratchet-modules-'));
after(() => rm(directory, { recursive: true }));
const silent = { info: () => undefined, error: () => undefined };
const component = Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, 7]);
const core = Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

interface Given {
  token?: string;
  org?: string;
  query?: string;
  type?: string;
  body?: Uint8Array<ArrayBuffer>;
  change?: (fakes: Fakes) => void;
}

async function submit(given: Given) {
  const { token = 'acme-operator', org = 'acme', query = '?name=guest.wasm' } = given;
  const { type = 'application/wasm', body = component } = given;
  const fakes = makeFakes(join(directory, 'store'));
  fakes.configurations.set('acme', storedConfiguration('acme'));
  given.change?.(fakes);
  const app = createApi({ services: fakes.services, logger: silent, version: '0.1.0' });
  const headers = { authorization: `Bearer ${token}`, 'content-type': type };
  const path = `/v1/organizations/${org}/modules${query}`;
  const response = await app.request(path, { method: 'POST', headers, body });
  const content = (await response.json()) as { detail?: string; module?: string; size?: number };
  return { status: response.status, content, calls: fakes.calls };
}

test('a component is stored, and the organization is told of it', async () => {
  const { status, content, calls } = await submit({});
  assert.equal(status, 202, JSON.stringify(content));
  assert.equal(content.size, component.length);
  const [{ name, org, request } = {}] = calls;
  assert.deepEqual([name, org], ['submit', 'acme']);
  const told = request as { component: { digest: string }; name: string };
  assert.deepEqual([told.component.digest, told.name], [content.module, 'guest.wasm']);
});

test('refusals name the bad value, and tell nobody', async () => {
  const off = (fakes: Fakes) => {
    fakes.services.wasi = 'none';
  };
  const busy = (fakes: Fakes) => {
    fakes.refusal = new GatewayError('conflict', 'no configuration yet');
  };
  const cases: [Given, number, RegExp][] = [
    [{ change: off }, 403, /RATCHET_WASI is "none"/],
    [{ token: 'acme-editor' }, 403, /this needs operator/],
    [{ token: 'globex-admin' }, 403, /for organization globex/],
    [{ token: 'all-operator', org: 'globex' }, 404, /organization globex does not run/],
    [{ token: 'all-admin', org: 'fleet' }, 400, /"fleet" is not an organization name/],
    [{ type: 'application/json' }, 415, /application\/json; send application\/wasm/],
    [{ body: core }, 422, /begins with 0061736d01000000, not 0061736d0d000100/],
    [{ body: new Uint8Array(0) }, 422, /begins with nothing/],
    [{ query: '?name=%07' }, 422, /name: is not 1 to 80 printable ASCII characters/],
    [{ query: '?nom=x' }, 422, /nom/],
    [{ body: new Uint8Array(moduleBytesMax + 1) }, 413, /the limit is 16777216 bytes/],
    [{ change: busy }, 409, /no configuration yet/],
  ];
  for (const [given, expected, detail] of cases) {
    const { status, content, calls } = await submit(given);
    assert.equal(status, expected, JSON.stringify(content));
    assert.match(content.detail ?? '', detail);
    assert.deepEqual(calls, []);
  }
});
