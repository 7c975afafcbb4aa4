import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Runs `main` if `url` is the file that Node was started with; its result is the exit status. */
export async function runAsMain(url, name, main) {
  if (process.argv[1] === undefined) return;
  if (realpathSync(process.argv[1]) !== realpathSync(fileURLToPath(url))) return;
  try {
    process.exitCode = (await main(process.argv.slice(2))) ?? 0;
  } catch (error) {
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode = 1;
  }
}
