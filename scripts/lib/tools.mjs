import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { download } from './download.mjs';
import { atLeast, pinnedVersion, root, versionIn } from './paths.mjs';
import { outputOf, runOrFail } from './run.mjs';
import { heartbeat } from './steps.mjs';

/** Releases of the Temporal CLI 1.5.1; nats-server's are checked against its own SHA256SUMS. */
const temporalSums = {
  'temporal_cli_1.5.1_linux_amd64.tar.gz':
    'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d',
  'temporal_cli_1.5.1_linux_arm64.tar.gz':
    'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5',
  'temporal_cli_1.5.1_darwin_amd64.tar.gz':
    'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9',
  'temporal_cli_1.5.1_darwin_arm64.tar.gz':
    'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415',
};

export const natsServer = {
  name: 'nats-server',
  variable: 'RATCHET_NATS_SERVER',
  module: 'github.com/nats-io/nats-server/v2',
  package: 'github.com/nats-io/nats-server/v2',
  linkerFlags: () => '-s -w',
  /** Partition transforms, per-key limits and strict requests. */
  compatible: (text) => {
    const version = versionIn(text);
    return version !== null && version[0] === 2 && atLeast(version, [2, 14, 0]);
  },
  release: (version, os, arch) => ({
    base: `https://github.com/nats-io/nats-server/releases/download/${version}`,
    archive: `nats-server-${version}-${os}-${arch}.tar.gz`,
    member: `nats-server-${version}-${os}-${arch}/nats-server`,
    sums: 'SHA256SUMS',
    pinned: {},
  }),
};

export const temporalCli = {
  name: 'temporal',
  variable: 'RATCHET_TEMPORAL',
  module: 'github.com/temporalio/cli',
  package: 'github.com/temporalio/cli/cmd/temporal',
  linkerFlags: (version) =>
    `-s -w -X github.com/temporalio/cli/temporalcli.Version=${version.slice(1)}`,
  /** Fairness keys and Updates with start need server 1.29. */
  compatible: (text) => {
    const server = versionIn(/Server ([\d.]+)/.exec(text)?.[1] ?? '');
    return server !== null && server[0] === 1 && atLeast(server, [1, 29, 0]);
  },
  release: (version, os, arch) => ({
    base: `https://github.com/temporalio/cli/releases/download/${version}`,
    archive: `temporal_cli_${version.slice(1)}_${os}_${arch}.tar.gz`,
    member: 'temporal',
    sums: 'checksums.txt',
    pinned: temporalSums,
  }),
};

/** A Prometheus-compatible agent: for tests as a sender, for benches as a peer. */
export const vmagent = {
  name: 'vmagent',
  variable: 'RATCHET_VMAGENT',
  /** A module of its own: what it needs must not change the builds of the other tools. */
  folder: 'tools/vmagent',
  module: 'github.com/VictoriaMetrics/VictoriaMetrics',
  package: 'github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent',
  linkerFlags: (version) =>
    '-s -w -X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=' +
    `vmagent-${version}`,
  /** What is measured against it holds for one version. */
  compatible: (text) => /\bv1\.130\.0\b/.test(text),
  release: (version, os, arch) => ({
    base: `https://github.com/VictoriaMetrics/VictoriaMetrics/releases/download/${version}`,
    archive: `vmutils-${os}-${arch}-${version}.tar.gz`,
    member: 'vmagent-prod',
    sums: `vmutils-${os}-${arch}-${version}_checksums.txt`,
    pinned: {},
  }),
};

/**
 * Finds or makes a tool: the path in its variable, PATH, the cache, a build with Go from the go.mod
 * of its folder, the official release.
 */
export async function ensureTool(tool, cacheDir, report, env = process.env) {
  const version = pinnedVersion(tool.module, tool.folder);
  const given = env[tool.variable];
  if (given) return explicit(tool, resolve(given));
  const onPath = await findOnPath(tool, env);
  if (onPath !== null) return { value: onPath, did: `${onPath}, found on PATH` };
  const cached = join(cacheDir, 'bin', `${tool.name}-${version}`);
  if (isExecutable(cached)) return { value: cached, did: `${version}, cached` };
  mkdirSync(join(cacheDir, 'bin'), { recursive: true });
  const go = await usableGo();
  if (go !== null) {
    try {
      await buildWithGo(tool, version, cached, report);
      return { value: cached, did: `${version}, built with ${go}` };
    } catch (error) {
      report(`${error.message}; trying the official release instead`);
    }
  }
  const how = await fetchRelease(tool, version, cached, report);
  return { value: cached, did: `${version}, ${how}` };
}

async function explicit(tool, path) {
  const text = await outputOf(path, ['--version']);
  if (text === null) throw new Error(`${tool.variable}: ${path} does not run ("--version" fails)`);
  const doubt = tool.compatible(text) ? '' : '; WARNING: not a version that is known to work';
  return { value: path, did: `${path}, from ${tool.variable} (${firstLine(text)})${doubt}` };
}

async function findOnPath(tool, env) {
  for (const directory of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
    const candidate = join(directory, tool.name);
    if (!isExecutable(candidate)) continue;
    const text = await outputOf(candidate, ['--version']);
    if (text !== null && tool.compatible(text)) return candidate;
  }
  return null;
}

/** Any Go since 1.21 fetches the toolchain that tools/go.mod asks for. */
async function usableGo() {
  const text = await outputOf('go', ['version']);
  const version = text === null ? null : versionIn(text);
  return version !== null && atLeast(version, [1, 21, 0]) ? `Go ${version.join('.')}` : null;
}

async function buildWithGo(tool, version, target, report) {
  const draft = `${target}.${process.pid}.draft`;
  const folder = tool.folder ?? 'tools';
  report(`building ${version} with Go from ${folder}/go.mod (minutes, once)`);
  const stop = heartbeat(report, 'building');
  const flags = ['-mod=readonly', '-trimpath', '-ldflags', tool.linkerFlags(version)];
  try {
    await runOrFail(`building ${tool.name}`, 'go', ['build', ...flags, '-o', draft, tool.package], {
      cwd: join(root, folder),
      env: { ...process.env, CGO_ENABLED: '0' },
      timeoutMs: 30 * 60_000,
    });
    renameSync(draft, target);
  } finally {
    stop();
    rmSync(draft, { force: true });
  }
}

async function fetchRelease(tool, version, target, report) {
  const os = process.platform;
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const release = tool.release(version, os, arch);
  report(`downloading ${release.base}/${release.archive}`);
  try {
    return await download(release, target);
  } catch (cause) {
    throw new Error(
      `${tool.name} ${version} could not be had: ${cause.message}\n` +
        `Install Go 1.21 or newer, put ${tool.name} on PATH, or set ${tool.variable} to its path`,
      { cause },
    );
  }
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return existsSync(file);
  } catch {
    return false;
  }
}

function firstLine(text) {
  return text.split('\n')[0];
}
