/** `ratchet modules …`: components that a tenant brings. */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { moduleBytesMax } from '../tables.ts';
import { type Context, emit, examples, pathOf, tenant } from './command.ts';
import { UsageError } from './endpoint.ts';

interface Submission {
  generation: number;
  workflow_id: string;
  module: string;
  size: number;
}

export function addModules(program: Command, context: Context): void {
  program
    .command('modules')
    .description('components that a tenant brings')
    .command('submit')
    .description('take a component through the gates, and serve it instead of what is found here')
    .argument('<org>', 'organization', tenant)
    .argument('<file>', 'a WebAssembly component')
    .addHelpText('after', examples('ratchet modules submit acme guest.wasm'))
    .action(async (org: string, file: string) => {
      const text = await readComponent(file);
      const name = basename(file)
        .replaceAll(/[^\x20-\x7e]/g, '?')
        .slice(-80);
      const client = await context.client();
      const reply = await client.json<Submission>('POST', pathOf(org, 'modules'), {
        query: { name },
        body: { text, mediaType: 'application/wasm' },
      });
      const { generation, module, size } = reply;
      emit(context, reply, () => [
        `${org}: ${name} (${size} bytes, ${module.slice(0, 16)}) is generation ${generation}`,
        `see: ratchet generations show ${org} ${generation}`,
      ]);
    });
}

async function readComponent(file: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { size } = await stat(file);
    if (size > moduleBytesMax) throw new Error(`${file}: ${size} bytes, ${moduleBytesMax} allowed`);
    return Uint8Array.from(await readFile(file));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
