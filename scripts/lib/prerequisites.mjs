import { atLeast, versionIn } from './paths.mjs';
import { outputOf } from './run.mjs';

const leastNode = [20, 10, 0];
const leastRust = [1, 95, 0];

const rustHelp = 'install Rust 1.95 or newer from https://rustup.rs (then: rustup update stable)';
const compilerHelp =
  'install one: Debian/Ubuntu "apt-get install build-essential", Fedora "dnf install gcc", ' +
  'macOS "xcode-select --install"';

/** Names everything that is missing at once, each with how to get it. */
export async function checkPrerequisites() {
  const [rustc, cargo, compiler] = await Promise.all([
    outputOf('rustc', ['--version']),
    outputOf('cargo', ['--version']),
    findCompiler(),
  ]);
  const problems = [
    ...checkPlatform(process.platform, process.arch),
    ...checkVersion('node', process.version, leastNode, 'install it from https://nodejs.org'),
    ...checkVersion('rustc', rustc, leastRust, rustHelp),
    ...checkVersion('cargo', cargo, leastRust, rustHelp),
    ...(compiler === null ? [`no C compiler (cc, gcc or clang): ${compilerHelp}`] : []),
  ];
  if (problems.length > 0) {
    throw new Error(`missing prerequisites:\n${problems.map((line) => `  - ${line}`).join('\n')}`);
  }
  const versions = [`node ${process.version.slice(1)}`, short(rustc), short(cargo), compiler];
  return { value: undefined, did: versions.join(', ') };
}

export function checkVersion(name, text, least, help) {
  const wanted = least.join('.');
  if (text === null) return [`${name} is not installed or does not run: ${help}`];
  const version = versionIn(text);
  if (version === null) return [`${name} tells no version ("${text}"): ${help}`];
  if (atLeast(version, least)) return [];
  return [`${name} is ${version.join('.')}, needed is ${wanted} or newer: ${help}`];
}

function checkPlatform(platform, arch) {
  if (['linux', 'darwin'].includes(platform) && ['x64', 'arm64'].includes(arch)) return [];
  return [`${platform}/${arch} is not supported: use Linux or macOS on x64 or arm64`];
}

async function findCompiler() {
  const names = [process.env.CC, 'cc', 'gcc', 'clang'].filter(Boolean);
  for (const name of names) {
    if ((await outputOf(name, ['--version'])) !== null) return name;
  }
  return null;
}

function short(text) {
  return text.split(' ').slice(0, 2).join(' ');
}
