import { join } from 'node:path';
import { bootstrap } from './bootstrap.mjs';
import { exec } from './lib/exec.mjs';
import { runAsMain } from './lib/main.mjs';

const help = `Usage: npm start [-- OPTIONS]

Builds what is missing, then starts the whole stack on this machine: Temporal's development server,
NATS, an aggregator and a control plane, with three organizations and their traffic.
The options below and any other are passed on to control/start/main.ts.

  --once      stop once every organization has had a promotion or has used its budget
  --json      logs go to standard error, the last line of standard output is one JSON object
  --help      this text
`;

await runAsMain(import.meta.url, 'start', async (args) => {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(help);
    return 0;
  }
  return exec(join('control', 'start', 'main.ts'), args, await bootstrap());
});
