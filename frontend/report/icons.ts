/** Icons of the categories as paths of a 24 × 24 box. */
const PATHS: Record<string, string> = {
  water: 'M2 15c2 0 2-1.5 4-1.5S8 15 10 15s2-1.5 4-1.5S16 15 18 15s2-1.5 4-1.5M2 20c2 0 2-1.5 4-1.5S8 20 10 20s2-1.5 4-1.5S16 20 18 20s2-1.5 4-1.5M5 10l2-5h10l2 5z',
  barrier: 'M3 8h18v6H3zM6 14v6M18 14v6M6 8l4 6M12 8l4 6M18 8l3 5',
  river: 'M2 20l6-11h3l2 4M16 20l2-4 4 4M13 13l-2 3 3 1-1 3M2 20h20M14 8c1.5 0 1.5-1 3-1s1.5 1 3 1M14 12c1.5 0 1.5-1 3-1s1.5 1 3 1',
  slope: 'M2 20h20L8 4 2 8zM15 6l2-2M19 9l2-1M17 13l4-3',
  house: 'M4 11l8-7 8 7v9H4zM12 4v5l-2 3 4 2-2 6',
  bolt: 'M13 2L5 13h6l-1 9 9-12h-6z',
  school: 'M3 20V9h5V5l4-2 4 2v4h5v11zM10 20v-5h4v5M12 8v2',
  dots: 'M6 12a1 1 0 10-2 0 1 1 0 002 0M13 12a1 1 0 10-2 0 1 1 0 002 0M20 12a1 1 0 10-2 0 1 1 0 002 0',
  camera: 'M4 8h4l1.5-2.5h5L16 8h4v11H4zM12 16.5a3 3 0 100-6 3 3 0 000 6z',
  locate: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v4M12 18v4M2 12h4M18 12h4'
};

export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', PATHS[name] ?? PATHS.dots);
  svg.append(path);
  return svg;
}
