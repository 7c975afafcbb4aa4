/**
 * The workflows as one file of JavaScript. Making it takes seconds, so it is kept under a digest of
 * everything it is made of.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { sha256 } from '../store/index.ts';

export interface Bundle {
  codePath: string;
}

export async function workflowBundle(workflowsPath: string, cache: string): Promise<Bundle> {
  const key = await bundleKey(dirname(workflowsPath));
  const codePath = join(cache, 'workflows', `${key}.js`);
  if (existsSync(codePath)) return { codePath };
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    logger: new DefaultLogger('WARN'),
  });
  await mkdir(dirname(codePath), { recursive: true, mode: 0o700 });
  const temporary = `${codePath}.${process.pid}.tmp`;
  await writeFile(temporary, code);
  await rename(temporary, codePath);
  return { codePath };
}

/** Sources of the workflows, of what they import, and the versions of what is bundled with them. */
async function bundleKey(workflows: string): Promise<string> {
  const root = dirname(workflows);
  const names = (await readdir(workflows)).filter((name) => name.endsWith('.ts')).sort();
  const files = [
    ...names.map((name) => join(workflows, name)),
    join(root, 'evolver', 'promotion.ts'),
    join(root, 'evolver', 'search', 'settings.ts'),
    join(root, 'package-lock.json'),
  ];
  const digests = await Promise.all(files.map(async (file) => sha256(await readFile(file))));
  return sha256([process.version, ...digests].join('\n')).slice(0, 32);
}
