import {describe, expect, it} from 'vitest';

import {readGlb} from '../src/buildings/glb';

function make(): ArrayBuffer {
  const bin = new ArrayBuffer(48);
  new Int16Array(bin, 0, 12).set([1, -2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0]); // three positions, 8 bytes apart
  new Uint16Array(bin, 24, 6).set([0, 0, 0, 0, 1, 0]); // feature ids, 4 bytes apart
  new Uint16Array(bin, 36, 3).set([0, 1, 2]);
  const short = new Uint32Array([900]);
  const json = {
    nodes: [{matrix: [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]}],
    meshes: [{primitives: [{attributes: {POSITION: 0, _FEATURE_ID_0: 1}, indices: 2}]}],
    accessors: [
      {bufferView: 0, componentType: 5122, count: 3, type: 'VEC3'}, {bufferView: 1, componentType: 5123, count: 3, type: 'SCALAR'},
      {bufferView: 2, componentType: 5123, count: 3, type: 'SCALAR'}
    ],
    bufferViews: [{byteLength: 24, byteStride: 8}, {byteOffset: 24, byteLength: 12, byteStride: 4}, {byteOffset: 36, byteLength: 6}, {byteOffset: 44, byteLength: 4}],
    extensions: {EXT_structural_metadata: {propertyTables: [{properties: {row: {values: 3}}}]}}
  };
  new Uint32Array(bin, 44, 1).set(short);
  let text = JSON.stringify(json);
  text += ' '.repeat((8 - ((20 + text.length + 8) % 8)) % 8);
  const out = new ArrayBuffer(28 + text.length + bin.byteLength);
  const head = new DataView(out);
  [0x46546c67, 2, out.byteLength, text.length, 0x4e4f534a].forEach((v, i) => head.setUint32(4 * i, v, true));
  new Uint8Array(out).set(new TextEncoder().encode(text), 20);
  head.setUint32(20 + text.length, bin.byteLength, true);
  head.setUint32(24 + text.length, 0x004e4942, true);
  new Uint8Array(out).set(new Uint8Array(bin), 28 + text.length);
  return out;
}

describe('glb', () => {
  it('reads quantised vertices where they lie, by their stride', () => {
    const glb = readGlb(make());
    const {value, stride, count} = glb.attributes.POSITION;
    expect([stride, count, value[stride], value[2 * stride + 2]]).toEqual([4, 3, 4, 9]);
    expect(glb.attributes._FEATURE_ID_0.value[2 * glb.attributes._FEATURE_ID_0.stride]).toBe(1);
    expect([...glb.indices]).toEqual([0, 1, 2]);
    expect([...glb.rows]).toEqual([900]);
    expect(glb.matrix[0]).toBe(2);
  });

  it('refuses what is cut off or something else', () => {
    expect(() => readGlb(make().slice(0, 60))).toThrow();
    expect(() => readGlb(new ArrayBuffer(100))).toThrow();
  });
});
