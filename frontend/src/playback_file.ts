/** Reads the files of `citymap.evacuation.playback`: a JSON head and little-endian arrays. */
type Described = {dtype: string; at: number; length: number};
export type PackedArray = Uint8Array | Uint16Array | Uint32Array;
export type Packed<H> = {head: H; arrays: Record<string, PackedArray>};

const ARRAYS = {u1: Uint8Array, u2: Uint16Array, u4: Uint32Array} as const;

/** Throws where the bytes are no such file. */
export function readPacked<H>(data: ArrayBuffer): Packed<H> {
  const view = new DataView(data);
  if (data.byteLength < 8 || view.getUint32(0) !== 0x434d5042) throw new Error('no playback file');
  const length = view.getUint32(4, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, length))) as H & {arrays: Record<string, Described>};
  const arrays: Record<string, PackedArray> = {};
  for (const [name, {dtype, at, length: count}] of Object.entries(head.arrays)) {
    const Kind = ARRAYS[dtype as keyof typeof ARRAYS];
    if (!Kind) throw new Error(`unknown type ${dtype}`);
    arrays[name] = new Kind(data, 8 + length + at, count);
  }
  return {head, arrays};
}
