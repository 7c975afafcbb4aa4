/** See `find.mjs`. */
export interface Tools {
  verus: string;
  rust: string;
  z3: string;
  vstd: string;
}
export interface Verus {
  command: string;
  from: string;
  tools: Tools;
}
export class NoVerus extends Error {}
export function findVerus(options: {
  path?: string;
  env?: NodeJS.ProcessEnv;
  cacheDir: string;
}): Promise<Verus>;
