/**
 * The aggregator's binary as a tool of the control plane: one JSON object, the last line of its
 * output.
 */
import { tmpdir } from 'node:os';
import type { z } from 'zod';
import { type Limits, ProcessFault, runLimited } from './process.ts';

const MIB = 1024 * 1024;

export const TOOL_LIMITS: Limits = {
  milliseconds: 45_000,
  processorSeconds: 60,
  // A WebAssembly engine reserves far more address space than it uses, and limits modules itself.
  memoryBytes: null,
  fileBytes: 256 * MIB,
  outputBytes: MIB,
};

export async function runAggregator<T>(
  binary: string,
  args: readonly string[],
  schema: z.ZodType<T>,
  options: { signal?: AbortSignal; limits?: Limits } = {},
): Promise<T> {
  const finished = await runLimited({
    command: binary,
    args,
    cwd: tmpdir(),
    environment: { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: tmpdir() },
    limits: options.limits ?? TOOL_LIMITS,
    signal: options.signal,
  });
  const what = `aggregator ${args.slice(0, 2).join(' ')}`;
  if (finished.code !== 0) {
    const how = finished.timedOut ? 'time is up' : (finished.signal ?? `status ${finished.code}`);
    throw new ProcessFault(`${what}: ${how}: ${finished.stderr.trim().slice(-400)}`);
  }
  const line = finished.stdout.trimEnd().split('\n').at(-1) ?? '';
  const answer = schema.safeParse(parse(line));
  if (!answer.success) throw new ProcessFault(`${what}: unforeseen answer ${line.slice(0, 200)}`);
  return answer.data;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
