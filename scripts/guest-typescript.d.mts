/** The packages cannot be had. */
export class NoComponentizer extends Error {}
/** The file of the component; rejects with `NoComponentizer` where it cannot be made here. */
export function typescriptGuest(env?: NodeJS.ProcessEnv): Promise<string>;
