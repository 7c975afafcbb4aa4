/** `npm start`: the whole stack, three organizations, and what becomes of them. */
import { randomInt } from 'node:crypto';
import { messageOf } from '../stack/errors.ts';
import { HELP, parseOptions, type StartOptions, UsageError } from './options.ts';
import { INTERRUPTED, runMainJob } from './run.ts';

process.exitCode = await main(process.argv.slice(2));
// Keep-alive connections of a stopped stack must not hold the process.
setTimeout(() => process.exit(), 2_000).unref();

async function main(args: readonly string[]): Promise<number> {
  let options: StartOptions | 'help';
  try {
    options = parseOptions(args, process.env, () => randomInt(2 ** 32));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`ratchet: ${error.message}\n\n${HELP}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupt.abort(signal));
  }
  try {
    return await runMainJob(options, interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) return INTERRUPTED;
    process.stderr.write(`ratchet: ${messageOf(error)}\n`);
    return 1;
  }
}
