/** Draws the water of one moment: its surface above the ground, in the colours of the depth classes. */
import {Layer, picking, project32} from '@deck.gl/core';
import type {Texture} from '@luma.gl/core';
import {Geometry, Model} from '@luma.gl/engine';

import type {Described} from './frames';

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const block = `\
layout(std140) uniform waterUniforms {
  vec4 other;
  vec2 otherSize;
  vec2 size;
  float shareA;
  float shareB;
  float how;
  float side;
  float split;
  float datum;
  float relief;
  float opacity;
} water;
`;
const waterUniforms = {
  name: 'water', vs: block, fs: block,
  uniformTypes: {
    other: 'vec4<f32>', otherSize: 'vec2<f32>', size: 'vec2<f32>', shareA: 'f32', shareB: 'f32', how: 'f32', side: 'f32', split: 'f32', datum: 'f32', relief: 'f32', opacity: 'f32'
  }
};
export const SIMPLE = 0, DIFFERENCE = 1;

const numbers = (list: number[]): string => list.map((v) => v.toFixed(4)).join(', ');
const colours = (list: number[][]): string => list.map((c) => `vec3(${numbers(c.map((v) => v / 255))})`).join(', ');

/** What both shaders read: depths (m) of a cell, −1 on a wall. */
const reading = (about: Described): string => `
precision highp sampler2D;
uniform sampler2D a0;
uniform sampler2D a1;
uniform sampler2D b0;
uniform sampler2D b1;
float metres(vec4 t) {
  float counts = t.r * 255.0 + t.g * 65280.0;
  return counts > ${(about.wall - 0.5).toFixed(1)} ? -1.0 : counts * ${about.unit_m.toFixed(6)};
}
float between(float p, float q, float share) {
  return p < 0.0 || q < 0.0 ? -1.0 : mix(p, q, share);
}
float depthA(ivec2 at) {
  return between(metres(texelFetch(a0, at, 0)), metres(texelFetch(a1, at, 0)), water.shareA);
}
float depthB(ivec2 at) {
  ivec2 there = ivec2(floor(vec2(at) * water.other.xy + water.other.zw + 0.5));
  if (any(lessThan(there, ivec2(0))) || any(greaterThanEqual(there, ivec2(water.otherSize)))) return -1.0;
  return between(metres(texelFetch(b0, there, 0)), metres(texelFetch(b1, there, 0)), water.shareB);
}
// The depth whose surface is drawn: of both results the deeper.
float shownDepth(ivec2 at) {
  return water.how > 0.5 ? max(depthA(at), depthB(at)) : depthA(at);
}
`;

const vertex = (about: Described): string => `#version 300 es
#define SHADER_NAME water-surface-vertex
in vec3 positions;
in vec3 positions64Low;
in vec2 cells;
out vec2 cell;
uniform sampler2D ground;
${reading(about)}
const float FROM = ${about.from_m.toFixed(4)};
void main(void) {
  cell = cells;
  ivec2 here = ivec2(cells + 0.5);
  float depth = shownDepth(here);
  float level = texelFetch(ground, here, 0).r + depth;
  if (!(depth >= FROM)) { // a bank: the surface runs on level from its wet neighbours
    float sum = 0.0;
    float count = 0.0;
    for (int j = -1; j <= 1; j++) {
      for (int i = -1; i <= 1; i++) {
        ivec2 at = clamp(here + ivec2(i, j), ivec2(0), ivec2(water.size) - 1);
        float d = shownDepth(at);
        if (d >= FROM) {
          sum += texelFetch(ground, at, 0).r + d;
          count += 1.0;
        }
      }
    }
    level = count > 0.0 ? sum / count : water.datum;
  }
  float z = water.relief > 0.5 ? level - water.datum + 0.15 : 0.3;
  geometry.worldPosition = vec3(positions.xy, z);
  gl_Position = project_position_to_clipspace(vec3(positions.xy, z), positions64Low, vec3(0.0), geometry.position);
  gl_Position.z -= 0.00004 * gl_Position.w; // before the ground, which is drawn from coarser heights
  DECKGL_FILTER_GL_POSITION(gl_Position, geometry);
}
`;

const fragment = (about: Described): string => {
  const {bounds, colours: changes} = about.differences;
  return `#version 300 es
#define SHADER_NAME water-surface-fragment
precision highp float;
in vec2 cell;
out vec4 fragColor;
${reading(about)}
const float FROM = ${about.from_m.toFixed(4)};
const float[${about.classes.length}] LOW = float[](${numbers(about.classes.map((c) => c.min))});
const vec3[${about.classes.length}] CLASS = vec3[](${colours(about.classes.map((c) => c.colour))});
const float[${bounds.length}] STEP = float[](${numbers(bounds)});
const vec3[${changes.length}] CHANGE = vec3[](${colours(changes)});
void main(void) {
  if (water.side * (gl_FragCoord.x - water.split) < 0.0) discard;
  ivec2 here = ivec2(floor(cell + 0.5));
  vec3 colour;
  if (water.how > 0.5) {
    float a = max(depthA(here), 0.0);
    float b = max(depthB(here), 0.0);
    if (a < FROM && b < FROM) discard;
    float change = b - a;
    int n = -1;
    if (change <= STEP[${bounds.length / 2 - 1}]) {
      n = 0;
      for (int k = 0; k < ${bounds.length / 2}; k++) if (change > STEP[k]) n = k + 1;
      n = min(n, ${bounds.length / 2 - 1});
    } else if (change >= STEP[${bounds.length / 2}]) {
      n = ${changes.length / 2};
      for (int k = ${bounds.length / 2}; k < ${bounds.length}; k++) if (change >= STEP[k]) n = k;
    }
    colour = n < 0 ? vec3(0.86, 0.88, 0.9) : CHANGE[n];
  } else {
    float depth = depthA(here);
    if (depth < FROM) discard;
    colour = CLASS[0];
    for (int k = 1; k < ${about.classes.length}; k++) if (depth >= LOW[k]) colour = CLASS[k];
  }
  fragColor = vec4(colour, water.opacity);
  geometry.uv = vec2(0.0);
  DECKGL_FILTER_COLOR(fragColor, geometry);
}
`;
};

/** The frames around a moment, and how far it is from the first to the second. */
export type Moment = {a: Uint16Array; b: Uint16Array; share: number; columns: number; rows: number};
export type SurfaceProps = {
  id: string; about: Described; vertices: Float64Array; indices: Uint32Array; ground: Float32Array; now: Moment; then: Moment | null;
  /** From a cell of this grid to one of the other: factors and offsets (x, y). */
  other: [number, number, number, number];
  how: number; side: -1 | 0 | 1; split: number; datum: number; relief: boolean; opacity: number;
};

const KEPT = 96; // frames held in the graphics card's memory

const PLAIN = {mipLevels: 1, sampler: {minFilter: 'nearest', magFilter: 'nearest', addressModeU: 'clamp-to-edge', addressModeV: 'clamp-to-edge'}};

const Base: new (...props: object[]) => Any = Layer as Any;

export class WaterSurfaceLayer extends Base {
  static layerName = 'WaterSurfaceLayer';

  getShaders(): Any {
    const {about} = this.props as SurfaceProps;
    return super.getShaders({vs: vertex(about), fs: fragment(about), modules: [project32, picking, waterUniforms]});
  }

  initializeState(): void {
    const {vertices, indices, about} = this.props as SurfaceProps;
    const count = about.rows * about.columns;
    const high = new Float32Array(count * 3);
    const low = new Float32Array(count * 3);
    const cells = new Float32Array(count * 2);
    for (let k = 0; k < count; k++) {
      for (const i of [0, 1]) {
        high[k * 3 + i] = vertices[k * 2 + i];
        low[k * 3 + i] = vertices[k * 2 + i] - high[k * 3 + i];
      }
      cells[k * 2] = k % about.columns;
      cells[k * 2 + 1] = Math.floor(k / about.columns);
    }
    const model = new Model(this.context.device, {
      ...this.getShaders(), id: this.props.id, isInstanced: false,
      geometry: new Geometry({
        topology: 'triangle-list', indices: {size: 1, value: indices}, vertexCount: indices.length,
        attributes: {positions: {size: 3, value: high}, positions64Low: {size: 3, value: low}, cells: {size: 2, value: cells}}
      } as never),
      parameters: {depthWriteEnabled: true, depthCompare: 'less-equal', cullMode: 'none', blend: true, blendColorSrcFactor: 'src-alpha', blendColorDstFactor: 'one-minus-src-alpha', blendAlphaSrcFactor: 'one', blendAlphaDstFactor: 'one-minus-src-alpha'}
    } as never);
    const ground = this.context.device.createTexture({...PLAIN, format: 'r32float', width: about.columns, height: about.rows, data: this.props.ground});
    this.setState({model, ground, textures: new Map<Uint16Array, Texture>()});
  }

  /** A frame on the graphics card: two bytes a cell. */
  private texture(values: Uint16Array, width: number, height: number): Texture {
    const {textures} = this.state as {textures: Map<Uint16Array, Texture>};
    const old = textures.get(values);
    if (old) {
      textures.delete(values);
      textures.set(values, old);
      return old;
    }
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const made = this.context.device.createTexture({...PLAIN, format: 'rg8unorm', width, height, data}) as Texture;
    textures.set(values, made);
    for (const [key, texture] of textures) {
      if (textures.size <= KEPT) break;
      textures.delete(key);
      texture.destroy();
    }
    return made;
  }

  draw(): void {
    const {model} = this.state as {model?: Model};
    const p = this.props as SurfaceProps;
    if (!model || !p.indices.length) return;
    const then = p.then ?? p.now;
    const [a0, a1] = [p.now.a, p.now.b].map((v) => this.texture(v, p.now.columns, p.now.rows));
    const [b0, b1] = [then.a, then.b].map((v) => this.texture(v, then.columns, then.rows));
    model.setBindings({ground: (this.state as {ground: Texture}).ground, a0, a1, b0, b1});
    model.shaderInputs.setProps({
      water: {
        other: p.other, otherSize: [then.columns, then.rows], size: [p.about.columns, p.about.rows], shareA: p.now.share, shareB: then.share, how: p.how, side: p.side,
        split: p.split, datum: p.datum, relief: p.relief ? 1 : 0, opacity: p.opacity
      }
    } as never);
    model.draw(this.context.renderPass);
  }

  finalizeState(context: Any): void {
    super.finalizeState(context);
    const {model, ground, textures} = this.state as {model?: Model; ground?: Texture; textures?: Map<Uint16Array, Texture>};
    model?.destroy();
    ground?.destroy();
    for (const texture of textures?.values() ?? []) texture.destroy();
  }
}
