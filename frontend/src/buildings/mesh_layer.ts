/** Draws the triangles of one tile; every vertex knows its building's row, for picking and colour. */
import {SimpleMeshLayer} from '@deck.gl/mesh-layers';
import {Buffer} from '@luma.gl/core';
import {GPUGeometry, Model} from '@luma.gl/engine';

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const STRIPE_PX = Math.round(8 * (globalThis.devicePixelRatio || 1));

/** Replace exactly one place of a shader, or say that deck.gl has changed. */
function swap(source: string, from: string, to: string): string {
  if (source.split(from).length !== 2) throw new Error(`deck.gl changed its mesh shader: ${from}`);
  return source.replace(from, to);
}

// Called with the layer of the day as `this`: deck.gl makes a new one for every change of props.
function readRows(this: Any, attribute: Any): void {
  attribute.value = this.props.vertexRows;
}

function readColours(this: Any, attribute: Any): void {
  attribute.value = this.props.vertexColours;
}

const Base: new (...props: object[]) => Any = SimpleMeshLayer as Any;

export class CityMeshLayer extends Base {
  static layerName = 'CityMeshLayer';

  getShaders(): Any {
    const shaders = super.getShaders();
    let vs = swap(shaders.vs, 'in vec2 texCoords;', 'in float rowIndexes;\nin vec4 rowColours;\nout float plain;\nconst vec2 texCoords = vec2(0.0);\nconst vec3 normals = vec3(0.0, 0.0, 1.0);');
    vs = swap(vs, 'in vec3 normals;\n', '');
    vs = swap(vs, 'in vec3 colors;\n', '');
    vs = swap(vs, 'picking_getPickingColorFromInstanceID()', 'picking_getPickingColorFromIndex(rowIndexes)');
    vs = swap(vs, 'vec4(colors * instanceColors.rgb, instanceColors.a)', 'vec4(rowColours.rgb * instanceColors.rgb, instanceColors.a)');
    vs = swap(vs, 'cameraPosition = project.cameraPosition;', 'cameraPosition = project.cameraPosition;\nplain = rowColours.a;');
    // The shading is in the colours already. Stripes follow the screen, so that they read the same at every distance.
    let fs = swap(shaders.fs, 'in vec4 vColor;', 'in vec4 vColor;\nin float plain;');
    fs = swap(fs, 'DECKGL_FILTER_COLOR(color, geometry);', `if (plain < 0.5 && fract((gl_FragCoord.x - gl_FragCoord.y) / ${STRIPE_PX}.0) < 0.4) color.rgb = mix(color.rgb, vec3(1.0), 0.55);\nDECKGL_FILTER_COLOR(color, geometry);`);
    fs = swap(fs, 'lighting_getLightColor(color.rgb, cameraPosition, position_commonspace.xyz, normal)', 'color.rgb');
    return {...shaders, vs, fs};
  }

  initializeState(): void {
    super.initializeState();
    this.getAttributeManager().add({
      rowIndexes: {
        type: 'uint32', size: 1, noAlloc: true,
        update: readRows
      },
      rowColours: {
        type: 'unorm8', size: 4, noAlloc: true,
        update: readColours
      }
    });
  }

  /** Positions and indices only: deck.gl would make up normals, colours and texture coordinates, 32 bytes a vertex. */
  getModel(mesh: Any): Model {
    const {device} = this.context;
    const model = new Model(device, {
      ...this.getShaders(), id: this.props.id, isInstanced: true, bufferLayout: this.getAttributeManager().getBufferLayouts(),
      geometry: new GPUGeometry({
        topology: 'triangle-list', vertexCount: mesh.indices.value.length, bufferLayout: [{name: 'positions', format: 'float32x3'}],
        indices: device.createBuffer({usage: Buffer.INDEX, data: mesh.indices.value}),
        attributes: {positions: device.createBuffer({data: mesh.attributes.positions.value})}
      })
    });
    model.shaderInputs.setProps({simpleMesh: this.getTextureProps(null)});
    return model;
  }

  draw(options: Any): void {
    super.draw(options);
    const {tile} = this.props;
    if (!tile.tileDrawn) {
      tile.tileDrawn = true; // the tile it replaces is held until now
      this.context.deck?.redraw?.('tile drawn');
      tile.tileset?.options?.onUpdate?.();
    }
  }

  updateState(params: Any): void {
    super.updateState(params);
    if (params.props.vertexColours !== params.oldProps.vertexColours) this.getAttributeManager().invalidate('rowColours');
  }
}
