import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as banned from './tidy/banned.ts';
import * as layering from './tidy/layering.ts';
import * as proofs from './tidy/proofs.ts';
import * as size from './tidy/size.ts';
import { snippets } from './tidy/snippets.ts';
import { languageOf, type Problem, type Rule, type Source, sourceOf } from './tidy/source.ts';

const root = resolve(fileURLToPath(import.meta.url), '..', '..');
const files = trackedFiles();
const sources = files.filter(isText).map((path) => sourceOf(path, read(path)));
const code = sources.filter(({ path }) => languageOf(path) !== 'other');

/** Rules over code; the snippets below break them on purpose, so they are left out. */
const codeRules: Record<string, Rule> = {
  'lines are at most 100 columns wide': size.lineLength,
  'files have at most 500 lines': size.fileLength,
  'functions have at most 70 lines': size.functionLength,
  'no any, no hidden type error': banned.looseTypes,
  'no console outside scripts and the command line': banned.consoleUse,
  'no clock and no chance in pure code': banned.clockAndChance,
  'no asynchronous Update validator': banned.asyncValidators,
  'unsafe is for guest/api and bench/codec alone': banned.unsafeRust,
  'assumptions are for guest/codec/src/trusted.rs alone': proofs.assumptions,
  'proofs have no holes': proofs.holes,
  'what the codec trusts is explained': proofs.trustedBodies,
  'no panic by unwrap, expect only with an invariant': banned.panics,
  'the configuration language is pure': layering.configurationLayer,
  'the evolver knows no activity': layering.evolverLayer,
  'production imports no bench': layering.productionLayer,
  'only the codec knows payload bytes': layering.payloadBytes,
};

const textRules: Record<string, Rule> = {
  'no left-over notes': banned.leftovers,
  'no path of one machine, no registry': banned.machineDetails,
  'guests link what they may': layering.guestDependencies,
};

describe('the repository', () => {
  for (const [name, rule] of Object.entries(codeRules)) test(name, () => holds(rule, code));
  for (const [name, rule] of Object.entries(textRules)) test(name, () => holds(rule, sources));

  test('workflow code touches nothing outside', () => {
    holds(layering.workflowLayer, layering.bundle('workflows/', code));
  });

  test('relative imports lead somewhere', () => {
    const known = new Set(files);
    holds((source) => layering.deadImports(source, known), code);
  });

  test('every folder is in the code map of ARCHITECTURE.md', () => {
    const folders = [...topFolders(), ...workspaceMembers()];
    const architecture = sourceOf('ARCHITECTURE.md', read('ARCHITECTURE.md'));
    report(layering.codeMap(folders, architecture));
  });
});

test('the codec trusts what proofs/README.md says', () => {
  report(proofs.bodyCount(read('proofs/README.md'), sources));
});

describe('the rules themselves', () => {
  for (const { rule, name, path, bad, good } of snippets) {
    test(`${name}: catches what it should`, () => {
      assert.notDeepEqual(rule(sourceOf(path, bad)), [], bad);
    });
    test(`${name}: lets the rest pass`, () => {
      assert.deepEqual(rule(sourceOf(path, good)), [], good);
    });
  }

  test('the code map: a folder that is missing is named', () => {
    const text = '# Ratchet\n`old/`\n## Code map\n`workflows/` and `guest/codec`\n';
    const architecture = sourceOf('ARCHITECTURE.md', text);
    const folders = ['workflows', 'guest/codec', 'old'];
    const found = layering.codeMap(folders, architecture).map(({ message }) => message);
    assert.deepEqual(found, ['the code map does not mention old/']);
  });

  test('trusted bodies: another number than the README has is told', () => {
    const body = sourceOf('guest/codec/src/trusted.rs', 'impl A for B { fn f() {} }');
    const count = (readme: string) => proofs.bodyCount(readme, [body]).length;
    assert.deepEqual(['Trusted bodies: 1.', 'Trusted bodies: 0.', ''].map(count), [0, 1, 1]);
  });

  test('a bundle has what is imported by value, directly or not', () => {
    const sources = Object.entries({
      'workflows/a.ts': "import { b } from '../lib/b.ts';\nimport type { t } from '../lib/t.ts';",
      'workflows/a.test.ts': "import '../lib/test.ts';",
      'lib/b.ts': "export * from './c.ts';",
      'lib/c.ts': "import './b.ts';",
      'lib/t.ts': '',
      'lib/test.ts': '',
    }).map(([path, text]) => sourceOf(path, text));
    const paths = layering.bundle('workflows/', sources).map(({ path }) => path);
    assert.deepEqual(paths.sort(), ['lib/b.ts', 'lib/c.ts', 'workflows/a.ts']);
  });

  test('dead imports: a file without its suffix does not exist', () => {
    const known = new Set(['control/a.ts', 'control/b.ts']);
    const check = (text: string) =>
      layering.deadImports(sourceOf('control/b.ts', text), known).map(({ line }) => line);
    assert.deepEqual(check("import { a } from './a.ts';\nexport * from './a.ts';"), []);
    assert.deepEqual(check("import a from './a';\nimport('./c.ts');"), [1, 2]);
  });
});

function holds(rule: Rule, over: readonly Source[]): void {
  report(over.filter(({ path }) => path !== 'test/tidy/snippets.ts').flatMap(rule));
}

function report(problems: readonly Problem[]): void {
  const lines = problems.map(({ path, line, message }) => `${path}:${line}: ${message}`);
  assert.equal(lines.length, 0, `${lines.length} found\n${lines.join('\n')}`);
}

function trackedFiles(): string[] {
  const output = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  return output.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
}

/** Generated and recorded files answer to nobody. */
function isText(path: string): boolean {
  if (/(^|\/)(package-lock\.json|Cargo\.lock|go\.sum)$/.test(path)) return false;
  if (path.startsWith('test/histories/') || path.startsWith('test/tidy')) {
    return path.startsWith('test/tidy') && path.endsWith('.ts');
  }
  return !read(path).includes('\0');
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function topFolders(): string[] {
  const tops = files.filter((path) => path.includes('/')).map((path) => path.split('/')[0] ?? '');
  return [...new Set(tops)].filter((folder) => !folder.startsWith('.'));
}

function workspaceMembers(): string[] {
  const members = /members\s*=\s*\[([^\]]*)\]/.exec(read('Cargo.toml'))?.[1] ?? '';
  return [...members.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '');
}
