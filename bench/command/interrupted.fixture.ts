/** A bench that waits for its interruption, and takes a while to stop what it started. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { runBench } from './index.ts';

await runBench({
  name: 'sample',
  help: '',
  flags: {},
  options: () => ({}),
  measure: async (_, signal) => {
    const waiting = setInterval(() => undefined, 1_000);
    process.stderr.write('waiting\n');
    await once(signal, 'abort');
    process.stderr.write('stopping\n');
    await sleep(500);
    clearInterval(waiting);
    process.stderr.write('stopped\n');
    throw new Error('aborted');
  },
});
