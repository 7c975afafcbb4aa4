import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runOrFail } from './run.mjs';

const sizeLimit = 400 * 1024 * 1024;
const timeLimitMs = 10 * 60_000;

/**
 * Fetches a release archive, checks its SHA-256 and unpacks one member to `target`.
 * The sum is the pinned one; a release without a pinned sum is checked against the sums file that
 * is published beside it, which guards against a broken download but trusts the publisher.
 */
export async function download(release, target) {
  const archive = await fetchBytes(`${release.base}/${release.archive}`);
  const { sum, origin } = await expectedSum(release);
  const found = createHash('sha256').update(archive).digest('hex');
  if (found !== sum) {
    throw new Error(`${release.archive} has SHA-256 ${found}, ${origin} says ${sum}`);
  }
  await unpack(release, archive, target);
  return `downloaded, SHA-256 checked against ${origin}`;
}

async function expectedSum(release) {
  const pinned = release.pinned[release.archive];
  if (pinned !== undefined) return { sum: pinned, origin: 'the pinned sum' };
  const text = (await fetchBytes(`${release.base}/${release.sums}`)).toString('utf8');
  const sum = sumOf(text, release.archive);
  if (sum === null) throw new Error(`${release.sums} lists no ${release.archive}`);
  return { sum, origin: `the release's own ${release.sums} (no sum of it is pinned here)` };
}

/** A line of a sums file: `<hex>  <name>` or `<hex> *<name>`. */
export function sumOf(text, name) {
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{64})\s+\*?(\S+)$/i.exec(line.trim());
    if (match !== null && match[2] === name) return match[1].toLowerCase();
  }
  return null;
}

/** The body that a URL answers, bounded in size and time. */
export async function fetchBytes(url) {
  let response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeLimitMs) });
  } catch (cause) {
    throw new Error(`${url}: ${cause.cause?.message ?? cause.message}`, { cause });
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const chunks = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > sizeLimit) throw new Error(`${url} is larger than ${sizeLimit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function unpack(release, archive, target) {
  const directory = mkdtempSync(join(dirname(target), 'unpack-'));
  try {
    const file = join(directory, 'archive.tar.gz');
    writeFileSync(file, archive);
    await runOrFail('unpacking', 'tar', ['-xzf', file, '-C', directory, release.member]);
    const binary = join(directory, release.member);
    chmodSync(binary, 0o755);
    renameSync(binary, target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
