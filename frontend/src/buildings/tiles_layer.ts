/**
 * Single buildings in 3D Tiles: picked by row, coloured by row, standing on the map's ground.
 * Reaches into private methods of deck.gl's Tile3DLayer: the version is pinned and tested.
 */
import {COORDINATE_SYSTEM} from '@deck.gl/core';
import {Tile3DLayer} from '@deck.gl/geo-layers';
import {Matrix4, Vector3} from '@math.gl/core';
import {BoundingSphere} from '@math.gl/culling';

import type {Glb} from './glb';
import {colourVertices, decode, type TileMesh} from './geometry';
import {CityMeshLayer} from './mesh_layer';

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const ONE = [{}];

export type Colours = {rgb: Uint8Array; hatched: Uint8Array | null; version: number};

// `_getSubLayer` is private to TypeScript only; the cast lets us override it.
const Base: new (...props: object[]) => Any = Tile3DLayer as Any;

export class CityTilesLayer extends Base {
  static layerName = 'CityTilesLayer';

  updateState(params: Any): void {
    super.updateState(params);
    const {props, oldProps} = params;
    if (props.colours !== oldProps.colours || props.selected !== oldProps.selected) {
      const cache = (this.state as Any).layerMap ?? {};
      for (const id of Object.keys(cache)) cache[id].needsUpdate = true;
    }
  }

  /** Bounding volumes follow the buildings down to the map's plane, or near tiles would be culled. */
  static lower(tileset: Any, drop: number, relief: number): void {
    const visit = (tile: Any): void => {
      const center = new Vector3(tile.boundingVolume.center);
      const radius = tile.boundingVolume.radius ?? halfDiagonal(tile.boundingVolume.halfAxes);
      const up = new Vector3(center).normalize();
      tile.boundingVolume = new BoundingSphere(center.subtract(up.multiplyByScalar(drop)), radius + relief);
      for (const child of tile.children ?? []) visit(child);
    };
    if (tileset.root) visit(tileset.root);
  }

  _mesh(tile: Any): TileMesh | null {
    const content = tile.content;
    if (content._citymap !== undefined) return content._citymap as TileMesh | null;
    const glb = content.glb as Glb | undefined;
    if (!glb) {
      content._citymap = null;
      return null;
    }
    const matrix = new Matrix4(content.modelMatrix ?? Matrix4.IDENTITY).multiplyRight(new Matrix4(glb.matrix));
    const origin = content.cartographicOrigin as number[];
    content._citymap = decode(glb, matrix as unknown as number[], origin[2] ?? 0, (this.props as Any).datum);
    content.glb = undefined; // the decoded copy is all that is needed
    return content._citymap as TileMesh;
  }

  _getSubLayer(tile: Any, oldLayer?: Any): Any {
    if (!tile.content) return null;
    const mesh = this._mesh(tile);
    if (!mesh) return null;
    const {colours, selected} = this.props as Any;
    const key = `${colours.version}:${selected}`;
    const content = tile.content;
    if (!content._geometry) {
      content._origin = [content.cartographicOrigin[0], content.cartographicOrigin[1], 0];
      content._geometry = {attributes: {positions: {value: mesh.positions, size: 3}}, indices: {value: mesh.indices, size: 1}};
    }
    if (content._key !== key) {
      content._key = key;
      content._colours = colourVertices(mesh, colours.rgb, colours.hatched, selected);
    }
    void oldLayer;
    return new CityMeshLayer((this as Any).getSubLayerProps({id: 'mesh'}), {
      id: `${(this as Any).id}-mesh-${tile.id}`,
      tile,
      data: ONE,
      mesh: content._geometry,
      vertexRows: mesh.rows,
      vertexColours: content._colours,
      getPosition: [0, 0, 0],
      getColor: [255, 255, 255],
      coordinateOrigin: content._origin,
      coordinateSystem: COORDINATE_SYSTEM.METER_OFFSETS,
      _instanced: false,
      _offset: 0
    });
  }

  /** The base class skips tiles whose centre is far from the pointer: wrong for tiles wider than that. */
  filterSubLayer({layer, viewport}: Any): boolean {
    const {tile} = layer.props;
    return Boolean(tile.selected && tile.viewportIds.includes(viewport.id));
  }

  getPickingInfo({info, sourceLayer}: Any): Any {
    info.sourceTile = sourceLayer?.props?.tile;
    info.row = info.picked ? info.index : null;
    return info;
  }
}

function halfDiagonal(axes: ArrayLike<number> | undefined): number {
  if (!axes) return 1000;
  let sum = 0;
  for (let i = 0; i < 9; i++) sum += axes[i] * axes[i];
  return Math.sqrt(sum);
}
