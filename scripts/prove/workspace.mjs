import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const live = new Set();

// Also after Ctrl-C.
process.on('exit', () => {
  for (const directory of live) rmSync(directory, { recursive: true, force: true });
});

/**
 * Runs `use` in a folder of its own that holds exactly these files, so that what is verified is
 * what was hashed, whatever happens to the working tree meanwhile.
 */
export async function withWorkspace(files, use) {
  const directory = mkdtempSync(join(tmpdir(), 'ratchet-proof-'));
  live.add(directory);
  try {
    for (const [name, bytes] of files) {
      const file = join(directory, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    }
    return await use(directory);
  } finally {
    live.delete(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `work` for every item, `width` at a time; results in the order of the items. */
export async function inParallel(items, width, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
