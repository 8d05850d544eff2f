/** What the browsers have and the declarations of TypeScript 4.8 lack or know otherwise. */

interface Array<T> {
  /** Typed as an access by index is: `at` is called only where there is something. */
  at(index: number): T;
  findLastIndex(predicate: (value: T, index: number, array: T[]) => boolean): number;
  toSorted(compare?: (one: T, other: T) => number): T[];
  toSpliced(start: number, deleted: number, ...added: T[]): T[];
  with(index: number, value: T): T[];
}

declare class OffscreenCanvas {
  constructor(width: number, height: number);
  width: number;
  height: number;
  getContext(kind: "2d"): OffscreenCanvasRenderingContext2D;
  convertToBlob(options?: { type?: string }): Promise<Blob>;
}

interface OffscreenCanvasRenderingContext2D extends CanvasRenderingContext2D {}
