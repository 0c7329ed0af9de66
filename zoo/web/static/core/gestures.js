/** What a tool paints while the pointer (or the cell cursor) moves: a draft of the map, exact to the pixel at every moment. */

import { drawLine, drawPath } from "./lines.js";
import { drawPolygon, drawRectangle, fill } from "./shapes.js";

/** @typedef {import("./types.js").LabelMap} LabelMap @typedef {import("./types.js").Point} Point */
/** @typedef {"brush" | "eraser" | "line" | "rectangle" | "polygon" | "lasso" | "fill"} PaintTool */

export class Gesture {
  /**
   * @param {LabelMap} map which is left as it is
   * @param {{tool: PaintTool, value: number, size: number, everywhere?: boolean}} options
   * @param {Point} start
   */
  constructor(map, options, start) {
    this.map = map;
    this.options = options;
    /** @type {LabelMap} */
    this.draft = { ...map, labels: map.labels.slice() };
    /** @type {Point[]} corners that stand; of a brush the way so far */
    this.points = [start];
    this.draw(start);
  }

  /** The pointer is here now. @param {Point} point @param {number} [size] of a pen's pressure */
  move(point, size = this.options.size) {
    const last = this.points[this.points.length - 1];
    const { tool, value } = this.options;
    if (tool === "brush" || tool === "eraser") {
      if (point[0] === last[0] && point[1] === last[1]) return;
      drawLine(this.draft, last, point, size, value);
      this.points.push(point);
    } else if (tool === "lasso") {
      if (point[0] !== last[0] || point[1] !== last[1]) this.points.push(point);
      this.draw(point);
    } else this.draw(point);
  }

  /** Another corner of a polygon. @param {Point} point */
  corner(point) {
    const last = this.points[this.points.length - 1];
    if (point[0] !== last[0] || point[1] !== last[1]) this.points.push(point);
    this.draw(point);
  }

  /** The draft anew, with the pointer at a place. @param {Point} point */
  draw(point) {
    const { tool, value, size, everywhere } = this.options;
    this.draft.labels.set(this.map.labels);
    if (tool === "brush" || tool === "eraser") drawPath(this.draft, this.points, size, value);
    if (tool === "line") drawLine(this.draft, this.points[0], point, size, value);
    if (tool === "rectangle") drawRectangle(this.draft, this.points[0], point, value);
    if (tool === "polygon") drawPolygon(this.draft, [...this.points, point], value);
    if (tool === "lasso") drawPolygon(this.draft, this.points, value);
    if (tool === "fill") fill(this.draft, point, value, everywhere);
  }
}
