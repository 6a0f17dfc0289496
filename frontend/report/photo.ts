/** A photo on its way in: the position is read first, then it is made smaller, upright, without metadata. */
import type {LonLat} from '../light/area';
import {positionOf} from './exif';

const SIDE = 1600;
const QUALITY = 0.82;
const HEAD = 256 * 1024;

export type Taken = {bytes: ArrayBuffer; type: string; at: LonLat | null};

async function drawable(file: Blob): Promise<ImageBitmap | HTMLImageElement> {
  try {
    return await createImageBitmap(file, {imageOrientation: 'from-image'});
  } catch {
    // Older Safari: an image element turns it upright too.
    const url = URL.createObjectURL(file);
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      return image;
    } finally {
      URL.revokeObjectURL(url);
    }
  }
}

/** Throws where the file is no picture that this device can read. */
export async function taken(file: Blob): Promise<Taken> {
  const at = positionOf(await file.slice(0, HEAD).arrayBuffer());
  const picture = await drawable(file);
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext('2d')!;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if ('close' in picture) picture.close();
  const small = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/jpeg', QUALITY));
  canvas.width = canvas.height = 0; // gives the memory back at once on phones
  if (!small) throw new Error('toBlob');
  return {bytes: await small.arrayBuffer(), type: 'image/jpeg', at};
}
