/** Reads our own .glb tiles as views of the bytes as they came: loaders.gl copies quantised vertices one by one. */
import {Tiles3DLoader} from '@loaders.gl/3d-tiles';

export type Accessor = {value: ArrayLike<number>; stride: number; count: number}; // stride in elements of `value`
export type Glb = {
  attributes: Record<string, Accessor>; indices: Uint16Array | Uint32Array; matrix: number[]; rows: Uint32Array;
};

type View = {byteOffset?: number; byteLength: number; byteStride?: number};
type Document = {
  accessors: {bufferView: number; byteOffset?: number; componentType: number; count: number; type: string}[];
  bufferViews: View[]; nodes: {matrix?: number[]}[];
  meshes: {primitives: {attributes: Record<string, number>; indices: number}[]}[];
  extensions: {EXT_structural_metadata: {propertyTables: {properties: Record<string, {values: number}>}[]}};
};

const ARRAYS = {5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array} as const;
const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

/** Throws where the bytes are not a .glb with building rows. */
export function readGlb(bytes: ArrayBuffer): Glb {
  const head = new DataView(bytes);
  if (bytes.byteLength < 28 || head.getUint32(0, true) !== 0x46546c67 || head.getUint32(8, true) > bytes.byteLength) throw new Error('not a whole .glb');
  const length = head.getUint32(12, true);
  const json = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 20, length))) as Document;
  const start = 20 + length + 8;
  const accessor = (k: number): Accessor => {
    const {bufferView, byteOffset = 0, componentType, count} = json.accessors[k];
    const view = json.bufferViews[bufferView];
    const Type = ARRAYS[componentType as keyof typeof ARRAYS];
    const from = start + (view.byteOffset ?? 0) + byteOffset;
    const width = json.accessors[k].type === 'VEC3' ? 3 : 1;
    const stride = (view.byteStride ?? width * Type.BYTES_PER_ELEMENT) / Type.BYTES_PER_ELEMENT;
    return {value: new Type(bytes, from, (count - 1) * stride + width), stride, count};
  };
  const primitive = json.meshes[0].primitives[0];
  const attributes = Object.fromEntries(Object.entries(primitive.attributes).map(([name, k]) => [name, accessor(k)]));
  const rows = json.bufferViews[json.extensions.EXT_structural_metadata.propertyTables[0].properties.row.values];
  return {
    attributes, indices: accessor(primitive.indices).value as Uint16Array | Uint32Array, matrix: json.nodes[0].matrix ?? IDENTITY,
    rows: new Uint32Array(bytes, start + (rows.byteOffset ?? 0), rows.byteLength / 4)
  };
}

type Content = {shape?: string; loader?: unknown; gltfArrayBuffer?: ArrayBuffer; glb?: Glb; gpuMemoryUsageInBytes?: number};

/** The stock loader of 3D Tiles, but for the reading of the glTF. */
export const CityTilesLoader: object = {
  ...Tiles3DLoader,
  async parse(data: ArrayBuffer, options: object, context: object): Promise<unknown> {
    const content = (await (Tiles3DLoader as unknown as {parse: (...a: unknown[]) => Promise<unknown>}).parse(data, options, context)) as Content;
    if (content.shape === 'tileset3d') content.loader = CityTilesLoader; // it would load its tiles by the stock one
    if (content.gltfArrayBuffer) {
      const glb = readGlb(content.gltfArrayBuffer);
      delete content.gltfArrayBuffer;
      content.glb = glb;
      // positions, rows, shades and colours by vertex, and the indices: once here, once on the graphics card
      content.gpuMemoryUsageInBytes = 2 * (glb.attributes.POSITION.count * 21 + glb.indices.byteLength);
    }
    return content;
  }
};
