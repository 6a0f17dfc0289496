/** Numbers as people say them. */
import {t} from './i18n';

/** Where a flood of this depth reaches (the storey table of the national guidance). */
export function depthWords(depth: number): string {
  const where = depth < 0.5 ? 'floor0' : depth < 3 ? 'floor1' : depth < 5 ? 'floor2' : depth < 10 ? 'floor3' : 'floor5';
  return t('depth.about', {d: depth < 1 ? depth.toFixed(2).replace(/0$/, '') : depth.toFixed(1), where: t(`depth.${where}`)});
}

export const hoursWords = (hours: number): string =>
  hours >= 48 ? t('days', {d: +(hours / 24).toFixed(1)}) : t('hours', {h: +hours.toFixed(hours < 10 ? 1 : 0)});

export const metres = (value: unknown): string | null =>
  typeof value === 'number' ? t('metres', {v: value.toFixed(1)}) : null;
