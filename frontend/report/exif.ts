/** The position inside a JPEG's EXIF; phones that strip it (iOS) give none. Degrees, lon before lat. */
import type {LonLat} from '../light/area';

export function positionOf(bytes: ArrayBuffer): LonLat | null {
  try {
    const view = new DataView(bytes);
    if (view.getUint16(0) !== 0xffd8) return null;
    let at = 2;
    while (at + 4 <= view.byteLength) {
      const marker = view.getUint16(at);
      const length = view.getUint16(at + 2);
      if (marker === 0xffe1 && view.getUint32(at + 4) === 0x45786966) return gps(view, at + 10);
      if (marker === 0xffda || (marker & 0xff00) !== 0xff00) return null;
      at += 2 + length;
    }
  } catch {
    // A file that is broken has no position.
  }
  return null;
}

function gps(view: DataView, start: number): LonLat | null {
  const little = view.getUint16(start) === 0x4949;
  const u16 = (at: number) => view.getUint16(start + at, little);
  const u32 = (at: number) => view.getUint32(start + at, little);
  const entries = (folder: number): Map<number, number> => {
    const found = new Map<number, number>();
    for (let i = 0; i < u16(folder); i++) found.set(u16(folder + 2 + i * 12), folder + 2 + i * 12);
    return found;
  };
  const pointer = entries(u32(4)).get(0x8825);
  if (pointer === undefined) return null;
  const tags = entries(u32(pointer + 8));
  const degrees = (name: number): number | null => {
    const entry = tags.get(name);
    if (entry === undefined || u32(entry + 4) !== 3) return null;
    const at = u32(entry + 8);
    const part = (i: number) => u32(at + i * 8) / u32(at + i * 8 + 4);
    return part(0) + part(1) / 60 + part(2) / 3600;
  };
  const sign = (name: number): string => {
    const entry = tags.get(name);
    return entry === undefined ? '' : String.fromCharCode(view.getUint8(start + entry + 8));
  };
  const lat = degrees(2);
  const lon = degrees(4);
  if (lat === null || lon === null || !Number.isFinite(lat) || !Number.isFinite(lon) || (lat === 0 && lon === 0)) return null;
  if (Math.abs(lat) > 90 || Math.abs(lon) > 180) return null;
  return {lon: sign(3) === 'W' ? -lon : lon, lat: sign(1) === 'S' ? -lat : lat};
}
