/** The joint Gaussian of part codes: a code is mean + sum of score * std * basis + residual * noise; scores of parts are correlated. */

/** @typedef {import("./tensors.js").Tensor} Tensor */

/** How far a given part's scores may lie from 0, and what keeps a covariance positive definite: as the model itself has them. */
const FARTHEST = 4;
const RIDGE = 1e-6;

/**
 * Codes float32 [P * E] of the wanted parts given the kept ones.
 * @param {Record<string, Tensor>} tensors prior.mean [P, E], prior.basis [P, K, E], prior.std [P, K], prior.residual [P, E], prior.correlation
 * @param {ArrayLike<number>} scores standard normals [P, K] @param {ArrayLike<number>} rest standard normals [P, E]
 * @param {boolean[]} wanted @param {boolean[]} kept @param {ArrayLike<number>} codes of all parts [P, E]
 */
export function given(tensors, scores, rest, wanted, kept, codes) {
  const [parts, k, size] = tensors["prior.basis"].dims;
  const [mean, basis, std, residual] = ["mean", "basis", "std", "residual"].map((name) => tensors[`prior.${name}`].data);
  const drawn = kept.some(Boolean) ? conditional() : product(cholesky(square(range(parts * k), range(parts * k))), Float64Array.from(scores));
  const places = kept.some(Boolean) ? spread(wanted) : range(parts * k);
  const all = new Float64Array(parts * k);
  places.forEach((place, i) => (all[place] = drawn[i]));
  const out = new Float32Array(parts * size);
  for (let p = 0; p < parts; p++)
    for (let e = 0; e < size; e++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += all[p * k + i] * std[p * k + i] * basis[(p * k + i) * size + e];
      out[p * size + e] = mean[p * size + e] + sum + residual[p * size + e] * rest[p * size + e];
    }
  return out;

  /** @param {boolean[]} which */
  function spread(which) {
    return range(parts * k).filter((i) => which[Math.floor(i / k)]);
  }

  /** @param {number[]} rows @param {number[]} columns */
  function square(rows, columns) {
    const { data, dims } = tensors["prior.correlation"];
    return rows.map((i) => Float64Array.from(columns, (j) => data[i * dims[1] + j]));
  }

  function conditional() {
    const [a, b] = [spread(kept), spread(wanted)];
    const known = Float64Array.from(a, (place) => {
      if (!(std[place] > 0)) return 0;
      const p = Math.floor(place / k);
      let sum = 0;
      for (let e = 0; e < size; e++) sum += (codes[p * size + e] - mean[p * size + e]) * basis[place * size + e];
      return Math.min(Math.max(sum / Math.max(std[place], 1e-6), -FARTHEST), FARTHEST);
    });
    const factor = cholesky(square(a, a));
    const across = square(b, a); // rows of the wanted
    const halves = across.map((row) => forward(factor, row));
    const knownHalf = forward(factor, known);
    const left = square(b, b).map((row, i) => row.map((value, j) => value - dot(halves[i], halves[j]) + (i === j ? RIDGE : 0)));
    const noise = product(cholesky(left), Float64Array.from(b, (place) => scores[place]));
    return noise.map((value, i) => value + dot(halves[i], knownHalf));
  }
}

/** @param {number} n */
const range = (n) => Array.from({ length: n }, (_, i) => i);

/** @param {Float64Array} a @param {Float64Array} b */
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The lower factor of a symmetric positive definite matrix. @param {Float64Array[]} matrix */
function cholesky(matrix) {
  const rows = matrix.map((row) => new Float64Array(row.length));
  for (let i = 0; i < matrix.length; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i][j];
      for (let m = 0; m < j; m++) sum -= rows[i][m] * rows[j][m];
      rows[i][j] = i === j ? Math.sqrt(sum) : sum / rows[j][j];
    }
  return rows;
}

/** The x of factor x = right. @param {Float64Array[]} factor @param {Float64Array} right */
function forward(factor, right) {
  const x = new Float64Array(right.length);
  for (let i = 0; i < x.length; i++) {
    let sum = right[i];
    for (let m = 0; m < i; m++) sum -= factor[i][m] * x[m];
    x[i] = sum / factor[i][i];
  }
  return x;
}

/** @param {Float64Array[]} lower @param {Float64Array} x */
const product = (lower, x) => Float64Array.from(lower, (row) => dot(row, x));
