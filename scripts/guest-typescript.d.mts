/** The file of the component. */
export function typescriptGuest(env?: NodeJS.ProcessEnv): Promise<string>;
