/** The small map of the form: where the report stands, and how sure that is. */
import type {LonLat, Point} from '../light/area';
import {AreaMap, type Write} from '../light/area_map';

export class ReportMap extends AreaMap {
  private mark: {at: Point; accuracy: number | null} | null = null;

  /** Put the mark; `look` brings it into the middle. */
  show(at: LonLat | null, accuracy: number | null, look: boolean): void {
    this.mark = at && {at: this.plane.metres(at), accuracy};
    if (this.mark && look) {
      this.middle = [...this.mark.at];
      this.scale = Math.max(this.scale, accuracy ? Math.min(1, 60 / accuracy) : 0.6);
    }
    this.draw();
  }

  protected names(write: Write): void {
    this.known(write, true);
  }

  protected marks(context: CanvasRenderingContext2D): void {
    if (!this.mark) return;
    const [x, y] = this.pixel(this.mark.at);
    const {accuracy} = this.mark;
    if (accuracy && accuracy * this.scale > 8) {
      context.beginPath();
      context.arc(x, y, accuracy * this.scale, 0, 7);
      context.fillStyle = 'rgb(0 23 193 / 14%)';
      context.fill();
    }
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(x - 5, y - 12, x - 13, y - 16, x - 13, y - 26);
    context.arc(x, y - 26, 13, Math.PI, 0);
    context.bezierCurveTo(x + 13, y - 16, x + 5, y - 12, x, y);
    context.fillStyle = '#ce0000';
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = '#fff';
    context.stroke();
    context.beginPath();
    context.arc(x, y - 26, 5, 0, 7);
    context.fillStyle = '#fff';
    context.fill();
  }
}
