import { leastSeeds } from './attestation.mjs';

export const help = `Usage: npm run prove [-- OPTIONS]

Verifies the codec (guest/codec) with Verus under ${leastSeeds} seeds of the solver, and writes the
attestation of exactly these sources to proofs/. See proofs/README.md.

  --check         without Verus: fails unless the sources have a valid attestation
  --install       installs the pinned release of Verus, and the Rust that it runs on
  --mutate        breaks the codec in one place after the other: Verus must refuse each;
                  writes proofs/mutants.md
  --only TEXT     with --mutate: only faults whose file or name contains TEXT; writes nothing
  --seeds N       seeds to verify under, 1 to 100; with fewer than ${leastSeeds} nothing is written
  --sources DIR   verifies the codec in DIR (Cargo.toml, src/) instead; writes only the log
  --verus PATH    the verifier; else RATCHET_VERUS, PATH, what --install installed
  --json          the last line of standard output is one JSON object; the rest is on standard error
  --help          this text

Exit status: 0 verified, 1 not, 2 wrong options, 3 no Verus of the pinned version.
`;

export class WrongOptions extends Error {}

const modes = ['check', 'install', 'mutate'];
const withValue = ['only', 'seeds', 'sources', 'verus'];

/** {mode, json, help, seeds, only, sources, verus}; mode is one of the above, or `prove`. */
export function parseOptions(args) {
  const options = { mode: 'prove', json: false, help: false, seeds: leastSeeds };
  const rest = args.flatMap((arg) => (/^--\w+=/.test(arg) ? splitOnce(arg) : [arg]));
  while (rest.length > 0) {
    const flag = rest.shift();
    const name = flag.replace(/^--/, '');
    if (flag === '--help' || flag === '-h') return { ...options, help: true };
    if (flag === '--json') options.json = true;
    else if (flag.startsWith('--') && modes.includes(name)) setMode(options, name);
    else if (flag.startsWith('--') && withValue.includes(name)) {
      const value = rest.shift();
      if (!value) throw new WrongOptions(`${flag} needs a value`);
      options[name] = name === 'seeds' ? seedCount(value) : value;
    } else throw new WrongOptions(`unknown option "${flag}"`);
  }
  return checked(options);
}

function splitOnce(arg) {
  const at = arg.indexOf('=');
  return [arg.slice(0, at), arg.slice(at + 1)];
}

function setMode(options, name) {
  if (options.mode !== 'prove') throw new WrongOptions(`--${options.mode} and --${name} together`);
  options.mode = name;
}

function seedCount(value) {
  const count = Number(value);
  if (Number.isInteger(count) && count >= 1 && count <= 100) return count;
  throw new WrongOptions(`--seeds: "${value}" is not a number from 1 to 100`);
}

function checked(options) {
  if (options.only !== undefined && options.mode !== 'mutate') {
    throw new WrongOptions('--only is for --mutate');
  }
  if (options.sources !== undefined && !['prove', 'check'].includes(options.mode)) {
    throw new WrongOptions(`--sources is not for --${options.mode}`);
  }
  return options;
}
