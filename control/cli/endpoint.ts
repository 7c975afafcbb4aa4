import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Environment } from '../config.ts';
import type { Endpoint } from './client.ts';

/** The command line cannot be carried out as it was written. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface EndpointOptions {
  api?: string;
  token?: string;
}

/**
 * Address and token: the options, else RATCHET_API and RATCHET_TOKEN, else `cli.json`, which the
 * development stack writes: in RATCHET_STATE, or in `.ratchet` here or in a directory above.
 */
export async function findEndpoint(
  options: EndpointOptions,
  environment: Environment,
  directory: string,
): Promise<Endpoint> {
  const api = options.api || environment.RATCHET_API;
  const token = options.token || environment.RATCHET_TOKEN;
  const stored = api && token ? {} : await readStored(environment, directory);
  const endpoint = { api: api || stored.api, token: token || stored.token };
  if (!endpoint.api) throw new UsageError('no API address: use --api or set RATCHET_API');
  if (!endpoint.token) throw new UsageError('no token: use --token or set RATCHET_TOKEN');
  // A stored token belongs to the stored address and goes nowhere else.
  if (!token && stored.api !== endpoint.api) {
    throw new UsageError(`no token for ${endpoint.api}: use --token or set RATCHET_TOKEN`);
  }
  if (!/^https?:\/\//.test(endpoint.api) || !URL.canParse(endpoint.api)) {
    throw new UsageError(`${JSON.stringify(endpoint.api)} is not an HTTP URL`);
  }
  return { api: endpoint.api, token: endpoint.token };
}

async function readStored(environment: Environment, directory: string): Promise<EndpointOptions> {
  for (const file of candidates(environment, directory)) {
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) continue;
    try {
      const { api, token } = JSON.parse(text) as Record<string, unknown>;
      if (typeof api === 'string' && typeof token === 'string') return { api, token };
    } catch {
      // Told below: the same as a file without the two fields.
    }
    throw new UsageError(`${file} does not hold an api and a token`);
  }
  return {};
}

function candidates(environment: Environment, directory: string): string[] {
  if (environment.RATCHET_STATE) return [join(resolve(environment.RATCHET_STATE), 'cli.json')];
  const files: string[] = [];
  for (let at = resolve(directory); ; at = dirname(at)) {
    files.push(join(at, '.ratchet', 'cli.json'));
    if (at === dirname(at)) return files;
  }
}
