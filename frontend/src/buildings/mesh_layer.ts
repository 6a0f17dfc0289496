/** Draws the triangles of one tile; every vertex knows its building's row, for picking and colour. */
import {SimpleMeshLayer} from '@deck.gl/mesh-layers';

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

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
    let vs = swap(shaders.vs, 'in vec2 texCoords;', 'in float rowIndexes;\nin vec4 rowColours;\nconst vec2 texCoords = vec2(0.0);');
    vs = swap(vs, 'in vec3 colors;\n', '');
    vs = swap(vs, 'picking_getPickingColorFromInstanceID()', 'picking_getPickingColorFromIndex(rowIndexes)');
    vs = swap(vs, 'vec4(colors * instanceColors.rgb, instanceColors.a)', 'vec4(rowColours.rgb * instanceColors.rgb, instanceColors.a)');
    return {...shaders, vs};
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
