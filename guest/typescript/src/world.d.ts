/** What the world imports (`guest/wit/world.wit`). */
declare module 'ratchet:guest/payload@1.0.0' {
  export function read(offset: number, len: number): Uint8Array;
}
