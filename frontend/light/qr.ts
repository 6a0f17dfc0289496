/** A QR code as SVG. */
import {correction, generate} from 'lean-qr';

const QUIET = 4; // modules around it, as the standard asks
const SVG = 'http://www.w3.org/2000/svg';

/** The dark modules as one path; `alt` is what a screen reader says. */
export function qr(text: string, alt: string): SVGSVGElement {
  const code = generate(text, {minCorrectionLevel: correction.M});
  let d = '';
  for (let y = 0; y < code.size; y++) for (let x = 0; x < code.size; x++) if (code.get(x, y)) d += `M${x + QUIET} ${y + QUIET}h1v1h-1z`;
  const svg = document.createElementNS(SVG, 'svg');
  const side = code.size + 2 * QUIET;
  for (const [name, value] of Object.entries({viewBox: `0 0 ${side} ${side}`, role: 'img', 'aria-label': alt, 'shape-rendering': 'crispEdges'})) svg.setAttribute(name, value);
  const paper = document.createElementNS(SVG, 'rect');
  for (const [name, value] of Object.entries({width: String(side), height: String(side), fill: '#fff'})) paper.setAttribute(name, value);
  const dark = document.createElementNS(SVG, 'path');
  dark.setAttribute('d', d);
  svg.append(paper, dark);
  return svg;
}
