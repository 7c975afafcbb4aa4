export const trusted: string;
export function holesIn(path: string, code: string): { at: number; text: string }[];
export function bodiesIn(path: string, code: string): { at: number }[];
export function findHoles(files: ReadonlyMap<string, Uint8Array>): string[];
export function countTrusted(files: ReadonlyMap<string, Uint8Array>): number;
